/** Stations on this host whose logs are read, and what comes of them. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { Test } from 'tap';
import { partsOf } from '../src/log-parts.js';
import type { LogNote, LogQuery, LogSource, StationDriver } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';

const { signal } = new AbortController();

type Sources = NonNullable<NonNullable<RealDriverEntry['logs']>['DiagnosticsLog']>;

/** Records of twelve seconds in two files, one of them rotated, as sources of both types. */
export async function rotatedLogs(dir: string): Promise<NonNullable<RealDriverEntry['logs']>> {
  const folder = join(dir, 'logs');
  await mkdir(folder);
  const line = (second: number): string => `${new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString()} ${second}\n`;
  const six = (first: number): string => Array.from({ length: 6 }, (_none, second) => line(first + second)).join('');
  await writeFile(join(folder, 'a.log.1'), six(0));
  await writeFile(join(folder, 'a.log'), six(6));
  return { DiagnosticsLog: [{ files: [`${folder}/a.log*`] }], SecurityLog: [{ files: [`${folder}/a.log`] }] };
}

export const logEntry = (dir: string, sources: Sources | undefined): RealDriverEntry => ({
  transport: 'local',
  state_dir: join(dir, 'state'),
  profile: 'rauc',
  limits: { command_s: 60, logs_s: 60 },
  ...(sources ? { logs: { DiagnosticsLog: sources } } : {}),
});

export function logDriver(t: Test, entry: RealDriverEntry): StationDriver {
  const pool = createSshPool();
  t.teardown(() => pool.close());
  return createRealDriver('gate', entry, pool);
}

export interface ReadPart {
  readonly name: string;
  readonly text: string;
  readonly notes: readonly LogNote[];
}

export async function readSource(source: LogSource): Promise<readonly ReadPart[]> {
  const parts: ReadPart[] = [];
  for await (const part of partsOf(source))
    parts.push({ name: part.name, text: await text(part.stream), notes: part.notes?.() ?? [] });
  return parts;
}

/** What comes of one source. */
export async function readLog(t: Test, dir: string, source: Sources[number], query: Partial<LogQuery> = {}) {
  const driver = logDriver(t, logEntry(dir, [source]));
  const [opened] = await driver.openLogs({ type: 'DiagnosticsLog', ...query }, signal);
  if (!opened) throw new Error('there is no source');
  const parts = await readSource(opened);
  return {
    parts,
    notes: opened.notes?.() ?? [],
    lines: parts.flatMap((part) => part.text.split('\n').filter(Boolean)),
  };
}

export const codesOf = (notes: readonly LogNote[]): readonly string[] => notes.map(({ code }) => code);
