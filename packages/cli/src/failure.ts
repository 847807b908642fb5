/** Failures that are expected: each ends the command with a code of its own, and says what to do. */
import { ProblemError } from '@khumbu/client/problem-error';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Exit } from './exit-codes.js';

export class Failure extends Error {
  readonly exit: Exit;
  /** Stable, for `--json`. */
  readonly code: string;
  constructor(exit: Exit, code: string, message: string) {
    super(message);
    this.name = 'Failure';
    this.exit = exit;
    this.code = code;
  }
}

/** What a person, or with `--json` a program, is told. */
export interface Told {
  readonly exit: Exit;
  readonly code: string;
  readonly message: string;
  /** HTTP status, where the depot has answered. */
  readonly status?: number;
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/;

/** The error below `fetch failed`, with its code. */
function causeOf(error: unknown): { readonly code: string; readonly text: string } {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return { code, text: describeError(cause) };
}

function unanswered(error: unknown): Told {
  const { code, text } = causeOf(error);
  const hint = CERTIFICATE.test(code)
    ? 'name the authority of its certificate in NODE_EXTRA_CA_CERTS'
    : 'is it running, and is this its URL? `khumbu doctor` looks';
  return { exit: 'unreachable', code: 'NO_ANSWER', message: `no answer: ${text}; ${hint}` };
}

const exitOf = (status: number): Exit =>
  status === 401 || status === 403
    ? 'denied'
    : status === 408 || status === 429 || status >= 500
      ? 'unreachable'
      : 'refused';

const HINTS: Readonly<Record<string, string>> = {
  NOT_AUTHENTICATED: 'the key is in --key-file, KHUMBU_KEY_FILE, KHUMBU_KEY, a profile, or typed with --key-stdin',
  SCOPE_MISSING: 'a key with a higher scope is needed: `khumbu keys add`',
};

function refusedBy({ code, status, message, problem }: ProblemError): Told {
  const where = (problem?.errors ?? []).map(({ pointer, parameter, detail, allowed }) => {
    const choice = allowed === undefined ? '' : ` (${allowed.map(String).join(', ')})`;
    return `\n  ${pointer ?? parameter ?? ''} ${detail}${choice}`;
  });
  const moved = status >= 300 && status < 400 ? '; it is a redirect: use the URL it leads to' : '';
  const hint = HINTS[code] === undefined ? '' : `; ${HINTS[code]}`;
  const reason = problem?.reason === undefined ? '' : ` (${problem.reason})`;
  return {
    exit: exitOf(status),
    code,
    status,
    message: `${message}${reason}${moved}${hint}${where.join('')}`,
  };
}

/** `undefined`: a surprise, of which the stack is worth showing. Pure. */
export function toldOf(error: unknown): Told | undefined {
  if (error instanceof Failure) return { exit: error.exit, code: error.code, message: error.message };
  if (error instanceof ProblemError) return refusedBy(error);
  if (error instanceof CodedError) return { exit: 'usage', code: error.code, message: describeError(error) };
  // What undici throws where there was no answer, a late one, or one that broke off.
  if (error instanceof TypeError && error.cause !== undefined) return unanswered(error);
  if (error instanceof Error && error.name === 'TimeoutError') return unanswered(error);
  return undefined;
}
