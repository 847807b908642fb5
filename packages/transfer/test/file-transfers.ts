/** What tests of file servers do with a transport, whatever the scheme. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Readable } from 'node:stream';
import type { FilePath } from '@khumbu/shared/locations/file-path';
import { type Location, parseLocation } from '@khumbu/shared/locations/location';
import { createLocationPolicy, type LocationRules } from '@khumbu/shared/locations/policy';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import type { Test } from 'tap';
import type { Opened, OpenOptions, TransferContext, UploadBody } from '../src/port.js';

export const RULES: LocationRules = {
  allowedSchemes: ['ftp', 'ftps', 'sftp'],
  allowedHosts: [],
  allowLoopback: true,
};

export const contextOf = (changes: Partial<TransferContext> = {}): TransferContext => ({
  policy: createLocationPolicy(RULES),
  stallMs: 30_000,
  ...changes,
});

/** Throws for what is no location of a file server. */
export function locationOf(text: string): Location & { readonly path: FilePath } {
  const parsed = parseLocation(text);
  if (!parsed.ok || !('path' in parsed.location) || parsed.location.path === undefined)
    throw new Error(`${text} is no location`);
  return { ...parsed.location, path: parsed.location.path };
}

export const never = (): AbortSignal => new AbortController().signal;

export const asked = (changes: Partial<OpenOptions> = {}): OpenOptions => ({
  offset: 0,
  validators: undefined,
  signal: never(),
  ...changes,
});

/** All that comes. */
export async function bytesOf(opened: Opened): Promise<Buffer> {
  if (opened.kind === 'unchanged') throw new Error('unchanged');
  const pieces: Buffer[] = [];
  await opened.readBody((piece) => void pieces.push(Buffer.from(piece)));
  return Buffer.concat(pieces);
}

export const bodyOf = (bytes: Buffer, pieceBytes = 64 * 1024): UploadBody => ({
  size: bytes.length,
  contentType: 'application/gzip',
  open: () =>
    Readable.from(
      (function* () {
        for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
      })(),
    ),
});

/** A `TransferError` to match. */
export const told = (members: {
  readonly reason: string;
  readonly retryable?: boolean;
  readonly message?: RegExp;
}): { readonly code: string } => ({ code: 'TRANSFER_FAILED', ...members });

/** The sessions of a server, with what they have started. */
export function killSessions(pid: number): void {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);
  for (const child of children) {
    try {
      killSessions(child);
      process.kill(child, 'SIGKILL');
    } catch (error) {
      // It went by itself.
      if (!hasCode(error, 'ESRCH', 'ENOENT')) throw error;
    }
  }
}

const socketsHeld = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // The descriptor of the look itself.
      return false;
    }
  }).length;

/** Call it before the first transfer, and what it returns after the last one: no descriptor of a socket is left. */
export function watchSockets(): (t: Test) => Promise<void> {
  const before = socketsHeld();
  return async (t) => {
    await awaitUntil(() => socketsHeld() <= before, 60_000, 'every socket to be closed');
    t.ok(socketsHeld() <= before);
  };
}
