/** A tar file member by member, with what a manifest says of each. Every member is whole in memory: tar wants its size first. */
import { createHash } from 'node:crypto';
import { type Pack, pack } from 'tar-stream';
import type { MemberFacts } from './manifest.js';

export interface Tar {
  readonly stream: Pack;
  /** Resolves when the member has moved on towards the reader: this is the backpressure. Another one of the name gets another name. */
  readonly add: (name: string, bytes: Buffer) => Promise<void>;
  readonly members: readonly MemberFacts[];
}

export function createTar(mtime: Date): Tar {
  const stream = pack();
  const members: MemberFacts[] = [];
  const names = new Set<string>();
  const freeName = (name: string): string => {
    for (let n = 0, free = name; ; n += 1, free = `${name}.${n}`) if (!names.has(free)) return free;
  };
  return {
    stream,
    members,
    add: (wanted, bytes) =>
      new Promise((resolve, reject) => {
        const name = freeName(wanted);
        names.add(name);
        members.push({ name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
        const entry = stream.entry({ name, mtime, mode: 0o644 }, bytes, (error) => (error ? reject(error) : resolve()));
        entry.on('error', reject);
      }),
  };
}
