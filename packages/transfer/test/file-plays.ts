/** What the faults of file servers have in common: who plays them, and the files that a real server has for it. */
import { appendFileSync, chmodSync, chownSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import type { ServerProgram } from '@khumbu/test-support/server';
import { killSessions } from './file-transfers.js';
import { type Play, policyOfNames, rules } from './play.js';

/** Several plays of one fault each have to end as its row says. */
export type Asked = Play | readonly Play[];
/** By the fault; where a direction needs something else, by the direction. */
export type FilePlays = Readonly<Record<string, Asked | { readonly get?: Asked; readonly put?: Asked }>>;

/** More than what is under way between a server and us. */
const IMAGE_BYTES = 20_000_000;

/** A real server, and how locations at it are written: up to the path, with the slash. */
export interface Place {
  readonly server: Pick<ServerProgram, 'pid' | 'freeze' | 'thaw'> & { readonly home: string; readonly id: number };
  /** With user and password, from the home folder of the user on. */
  readonly at: string;
  /** The same with a password that is wrong. */
  readonly guess: string;
  /** What is not of the policy. */
  readonly context: NonNullable<Play['context']>;
}

/** Files and folders of the plays below. */
export function furnish({ home, id }: Place['server']): void {
  const own = (name: string, mode: number): void => {
    chownSync(join(home, name), id, id);
    chmodSync(join(home, name), mode);
  };
  for (const [name, mode] of [
    ['image', 0o644],
    ['growing', 0o644],
    ['secret', 0],
  ] as const) {
    writeFileSync(join(home, name), '');
    truncateSync(join(home, name), IMAGE_BYTES);
    own(name, mode);
  }
  mkdirSync(join(home, 'closed'));
  own('closed', 0o555);
}

/** Faults that come about in the same way at every file server. `scheme` with its colon and slashes. */
export function commonPlays(scheme: string, { server, at, guess, context }: Place): FilePlays {
  const image: Play = { location: `${at}image`, context };
  const elsewhere = `${scheme}fw:hush@files.example/image`;
  return {
    'The path is not valid percent-encoded UTF-8, or it, the user or the password has control characters.': [
      { location: `${at}fw%FF.bin` },
      { location: `${at}fw%0A.bin` },
      { location: `${scheme}fw:hu%0Dsh@127.0.0.1/fw.bin` },
    ],
    'The scheme, the host or its address is not allowed.': [
      { location: elsewhere, context: { policy: createLocationPolicy({ ...rules, allowedSchemes: ['https'] }) } },
      {
        location: elsewhere,
        context: { policy: createLocationPolicy({ ...rules, allowedHosts: ['*.vendor.example'] }) },
      },
      { location: `${scheme}fw:hush@169.254.169.254/image` },
    ],
    'The name of the host leads only to addresses that are not allowed.': {
      location: elsewhere,
      context: { ...context, policy: policyOfNames('169.254.169.254') },
    },
    'The name of the host does not exist, or no name server answers.': {
      location: elsewhere,
      context: { ...context, policy: policyOfNames('ENOTFOUND') },
    },
    'The port is closed, or there is no route to the host.': [
      { location: `${scheme}fw:hush@127.0.0.1:1/image`, context },
      // What a socket fails with: which addresses have no route is another on each machine.
      { location: elsewhere, context: { ...context, policy: policyOfNames('EHOSTUNREACH') } },
    ],
    'The server says nothing for the stall limit: no greeting, no reply, no content.': {
      ...image,
      context: { ...context, stallMs: 300 },
      before: () => server.freeze(),
      after: () => server.thaw(),
    },
    'The connection ends before all was sent and confirmed.': { ...image, meanwhile: () => killSessions(server.pid) },
    'User, password or key are refused, or the location has none.': { location: `${guess}image`, context },
    'There is no such file, or a folder has its name.': [
      { location: `${at}none`, context },
      { location: `${at}closed`, context },
    ],
    'There is no such folder.': { location: `${at}none/image`, context },
    'The user may not read or write there.': {
      get: { location: `${at}secret`, context },
      put: { location: `${at}closed/up`, context },
    },
    'The file was changed, grew or shrank while it was read.': {
      location: `${at}growing`,
      context,
      meanwhile: () => appendFileSync(join(server.home, 'growing'), 'more'),
    },
  };
}
