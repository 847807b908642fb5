/** The servers of a case, one kind for each scheme: each serves one file as a plan wants it. */
import { startOrigin } from '@khumbu/test-support/origin';
import { ScriptedFtp } from '@khumbu/test-support/scripted-ftp';
import { ScriptedSftp } from '@khumbu/test-support/scripted-sftp';
import type { Cleanup } from '../depot/cleanup.js';
import type { Meeting } from './plan.js';
import { FTP_SERVERS, HTTP_SERVERS, mdtmOf, type Scheme, SFTP_SERVERS } from './servers.js';

/** Slow enough that what is under way when a worker is killed is little: so that it reads faster than that, also what it has to decrypt. */
const PACE = { bytesPerSecond: 12_000_000 };
/** Of servers that do not wait for whoever reads. */
const FILE_PACE = { bytesPerSecond: 2_000_000 };

/** What a worker needs beside the location. */
export interface FetchSettings {
  readonly knownHosts?: string;
  /** Where the depot's object store is. */
  readonly storeUrl?: string;
}

export interface FileNow {
  readonly content: Buffer;
  readonly modifiedMs: number;
  readonly meets: readonly Meeting[];
}

export interface Source {
  /** The name is another one for each case. Its location. */
  serve(name: string, file: FileNow): string;
  /** Bytes of content that were sent for this name; a file server has one name at a time. */
  sent(name: string): number;
  readonly settings: FetchSettings;
}

/** The servers of the meetings, by their table. */
const met = <B>(table: Readonly<Record<string, (atBytes: number, nowMs: number) => B>>, meets: readonly Meeting[]) =>
  meets.map(({ name, atBytes }) => {
    const make = table[name];
    if (!make) throw new Error(`no server is called ${name}`);
    return make(atBytes, Date.now());
  });

/** Of a lane: one case after another. They stand until the cleanup. */
export async function startSources(cleanup: Cleanup): Promise<Readonly<Record<Scheme, Source>>> {
  const origin = await startOrigin();
  cleanup.teardown(() => origin.close());
  const ftp = await ScriptedFtp.start();
  cleanup.teardown(() => ftp.stop());
  const sftp = await ScriptedSftp.start();
  cleanup.teardown(() => sftp.stop());
  const before = { ftp: 0, sftp: 0 };
  const byHttp = (folder: string): Pick<Source, 'serve' | 'sent'> => ({
    serve(name, { content, modifiedMs, meets }) {
      const script = [...met(HTTP_SERVERS, meets).map((one) => ({ ...PACE, ...one })), PACE];
      return origin.serve(`${folder}/${name}`, content, script, new Date(modifiedMs));
    },
    sent: (name) => origin.stats(`${folder}/${name}`).bodyBytes,
  });
  const store = byHttp('/images');
  return {
    http: { ...byHttp(''), settings: {} },
    s3: {
      ...store,
      serve(name, file) {
        store.serve(name, file);
        return `s3://images/${name}`;
      },
      settings: { storeUrl: origin.url },
    },
    ftp: {
      serve(name, { content, modifiedMs, meets }) {
        if (!ftp.files.has(name)) before.ftp = ftp.sent;
        ftp.files.clear();
        ftp.put(name, content, mdtmOf(modifiedMs));
        ftp.script = FILE_PACE;
        ftp.next = met(FTP_SERVERS, meets).map((one) => ({ ...FILE_PACE, ...one }));
        return `ftp://fw:secret@127.0.0.1:${ftp.port}/${name}`;
      },
      sent: () => ftp.sent - before.ftp,
      settings: {},
    },
    sftp: {
      serve(name, { content, modifiedMs, meets }) {
        const path = `/${name}`;
        if (!sftp.files.has(path)) before.sftp = sftp.sent;
        sftp.files.clear();
        sftp.put(path, content, modifiedMs);
        sftp.script = FILE_PACE;
        sftp.next = met(SFTP_SERVERS, meets).map((one) => ({ ...FILE_PACE, ...one }));
        return `sftp://fw:secret@127.0.0.1:${sftp.port}${path}`;
      },
      sent: () => sftp.sent - before.sftp,
      settings: { knownHosts: sftp.knownHosts },
    },
  };
}
