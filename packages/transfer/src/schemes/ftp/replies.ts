/**
 * What replies of FTP servers mean. RFC 959 leaves much to them: 550 is a missing file, a folder, or a lack of rights, 530 a wrong
 * password or a lack of TLS, 451 a full disk. So the moment counts, and the words as far as servers are known to have them. Pure.
 */

import { readableText } from '@khumbu/shared/runtime/readable-text';
import type { FTPResponse } from 'basic-ftp';
import type { TransferReason } from '../../faults/fault.js';
import { type Leg, TransferError } from '../../transfer-error.js';

/** In which moment the reply came. */
export type Phase = 'greeting' | 'login' | 'setup' | 'folder' | 'passive' | 'get' | 'put' | 'underway' | 'rename';

/** Words of the server for people: one line, bounded, without what it was sent in confidence. */
export const replyText = ({ message }: FTPResponse, secrets: readonly string[]): string =>
  // Before it is cut: of a secret that the cut goes through the beginning would stay.
  readableText(
    secrets.reduce((text, secret) => text.replaceAll(secret, '***'), message),
    200,
  );

// vsftpd "Non-anonymous sessions must use encryption", ProFTPD "SSL/TLS required on the control channel", FileZilla "Use AUTH first",
// IIS "Policy requires SSL", vsftpd and ProFTPD 522 for data.
const WANTS_TLS = /\b(?:ssl|tls|encrypt\w*|auth first|secure connection)\b/i;
const IS_MISSING = /no such|not found|does ?n[o']t exist|cannot find|not exist/i;
const IS_FULL = /quota|no space|disk (?:is )?full|insufficient|exceeded storage/i;
const IS_DENIED = /denied|permission|not permitted|not allowed|access|forbidden|read-only/i;

type Moment = (text: string) => TransferReason;
const OF_CODE: Readonly<Record<number, Partial<Record<Phase, Moment>> & { readonly always?: Moment }>> = {
  421: { always: () => 'remote_busy' },
  425: { always: () => 'data_connection' },
  426: { get: () => 'cut', put: () => 'connection' },
  452: { always: () => 'remote_full' },
  530: { always: () => 'login_refused' },
  532: { always: () => 'login_refused' },
  550: {
    get: (text) => (IS_DENIED.test(text) ? 'denied' : 'no_such_file'),
    put: (text) => (IS_FULL.test(text) ? 'remote_full' : IS_MISSING.test(text) ? 'no_such_folder' : 'denied'),
  },
  552: { always: () => 'remote_full' },
  553: { always: (text) => (IS_MISSING.test(text) ? 'no_such_folder' : 'denied') },
};

function reasonOf({ direction, scheme }: Leg, code: number, phase: Phase, text: string): TransferReason {
  const mayLackTls =
    scheme === 'ftp' && (phase === 'login' || phase === 'setup' || code === 521 || code === 522 || code === 534);
  if (mayLackTls && code >= 400 && WANTS_TLS.test(text)) return 'tls_required';
  if (phase === 'login' && code !== 421) return 'login_refused';
  if (phase === 'folder' && code >= 500 && !IS_DENIED.test(text))
    return direction === 'get' ? 'no_such_file' : 'no_such_folder';
  if (phase === 'folder' && code >= 500) return 'denied';
  // vsftpd without passive mode: "Permission denied."
  if (phase === 'passive' && code === 550) return direction === 'get' ? 'bad_response' : 'connection';
  // Once content flows no command can be unknown; and vsftpd says "500 OOPS" when one of its sessions dies.
  const isBroken = (phase === 'underway' && code >= 500 && code < 505) || text.startsWith('500 OOPS');
  if (isBroken) return direction === 'get' ? 'cut' : 'connection';
  const row = OF_CODE[code];
  const moment = row?.[phase] ?? row?.always ?? row?.[direction];
  return moment?.(text) ?? `ftp_${code}`;
}

/** The reply as the error it is. `said`: its words for people (`replyText`). */
export const faultOfReply = (leg: Leg, reply: FTPResponse, phase: Phase, said: string): TransferError =>
  new TransferError(leg, reasonOf(leg, reply.code, phase, reply.message), `the server says ${said}`);
