/** `npm run security-log`: export the security log, and verify an export or the running depot. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { type ChainFault, type ChainVerdict, createVerifier, type VerifyOptions } from './chain.js';
import { readHead } from './chain-writer.js';
import type { ChainPoint, SecurityEntry } from './entry.js';
import { readCheckpoint } from './forget-entries.js';
import { allEntries } from './read-entries.js';

const USAGE =
  'npm run security-log -- export [--station STATION] | verify [FILE] [--station STATION] [--anchor SEQUENCE:HASH]...';

const WORDS: Readonly<Record<ChainFault, string>> = {
  hash: 'is not what was chained',
  link: 'does not follow the entry before it',
  gap: 'comes where entries are missing',
  cut: 'and what follows is missing',
  anchor: 'is not what was noted outside',
};

/** A line of an export that is no entry: where the chain begins and ends, and whose entries alone it holds. */
interface Ends {
  readonly station?: string;
  readonly checkpoint?: ChainPoint;
  readonly head?: ChainPoint;
}

export interface CommandDeps {
  /** Called for what needs the running depot. */
  readonly depot: () => Promise<{ readonly redis: Redis; readonly keys: Keys }>;
  readonly write: (line: string) => void;
}

/** Throws `USAGE`. */
function anchorOf(text: string): ChainPoint {
  const [, sequence, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (hash === undefined) throw new CodedError('USAGE', `${text} is no SEQUENCE:HASH`);
  return { sequence: Number(sequence), hash };
}

const isEntry = (line: Ends | SecurityEntry): line is SecurityEntry => 'sequence' in line;

async function* linesOf(file: string): AsyncGenerator<Ends | SecurityEntry> {
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY }))
    if (line.trim() !== '') yield JSON.parse(line) as Ends | SecurityEntry;
}

async function* entriesOf(file: string): AsyncGenerator<SecurityEntry> {
  for await (const line of linesOf(file)) if (isEntry(line)) yield line;
}

async function verify(entries: AsyncIterable<SecurityEntry>, options: VerifyOptions): Promise<ChainVerdict> {
  const anchors = options.anchors?.filter(({ sequence }) => sequence > 0) ?? [];
  const verifier = createVerifier({ ...options, anchors });
  for await (const entry of entries) if (!verifier.add(entry)) break;
  return verifier.end();
}

/** Pure. */
function verdictText({ entries, fault, last }: ChainVerdict): string {
  if (fault)
    return `${fault.kind}: entry ${fault.sequence} ${WORDS[fault.kind]}; ${entries} entries before it are right`;
  return `${entries} entries are as they were written${last ? `; the newest is ${last.sequence}:${last.hash}` : ''}`;
}

/** Resolves with the exit code: 1 where something is wrong. Rejects with `USAGE`. */
export async function securityLogCommand(args: string[], { depot, write }: CommandDeps): Promise<number> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { station: { type: 'string' }, anchor: { type: 'string', multiple: true } },
  });
  const [command, file] = positionals;
  const anchors = (values.anchor ?? []).map(anchorOf);
  const judge = (verdict: ChainVerdict): number => {
    write(verdictText(verdict));
    return verdict.ok ? 0 : 1;
  };
  if (command === 'verify' && file !== undefined) {
    // The ends stand at both ends of the file: it is read twice.
    let ends: Ends = {};
    for await (const line of linesOf(file)) if (!isEntry(line)) ends = { ...ends, ...line };
    // Of `depot/security.log` in an archive the caller says it.
    const { checkpoint, head, station = values.station } = ends;
    const noted = [...(head ? [head] : []), ...anchors];
    return judge(await verify(entriesOf(file), { checkpoint, anchors: noted, isPartial: station !== undefined }));
  }
  if (command !== 'verify' && command !== 'export') throw new CodedError('USAGE', USAGE);
  const { station } = values;
  const { redis, keys } = await depot();
  const head = await readHead(redis, keys);
  const checkpoint = await readCheckpoint(redis, keys);
  const entries = allEntries(redis, keys, station);
  if (command === 'verify')
    return judge(await verify(entries, { checkpoint, anchors: [head, ...anchors], isPartial: station !== undefined }));
  if (station !== undefined) write(JSON.stringify({ station }));
  if (checkpoint) write(JSON.stringify({ checkpoint }));
  for await (const entry of entries) write(JSON.stringify(entry));
  write(JSON.stringify({ head }));
  return 0;
}
