/** From a request for the live view of logs to its first record, over SSH on loopback, with a journal that is long. */
import { join } from 'node:path';
import { awaitUntil } from '@khumbu/test-support/events';
import { type JournalEntry, writeJournal } from '@khumbu/test-support/journal';
import { type Depot, startDepot } from '../depot.js';
import type { BenchContext, Benchmark } from '../row.js';
import { sshEntries } from '../ssh-stations.js';
import { timedCommand } from '../timed-command.js';

const RECORDS = { full: 100_000, short: 2000 } as const;
const STATIONS = { full: 15, short: 1 } as const;
const LOOKED_AT_MS = 60_000;
const BOOT = 'b'.repeat(32);

function* entries(count: number): Generator<JournalEntry> {
  const first = BigInt(Date.now() - count * 1000) * 1000n;
  for (let n = 0n; n < BigInt(count); n += 1n) {
    const message = `record ${n}: MeterValues connector 1 energy 12345.678 Wh power 11040 W`;
    const fields = { PRIORITY: '6', _SYSTEMD_UNIT: 'everest.service', SYSLOG_IDENTIFIER: 'manager', MESSAGE: message };
    yield { realtime: first + n * 1_000_000n, monotonic: (n + 1n) * 1_000_000n, boot: BOOT, fields };
  }
}

/** Milliseconds until the first record. */
async function firstRecord({ endpoints }: Depot, station: string): Promise<number> {
  const startedAt = performance.now();
  const left = new AbortController();
  const response = await fetch(`${endpoints.httpUrl}/v1/stations/${station}/logs?follow=true`, {
    headers: { authorization: `Bearer ${endpoints.apiKey}` },
    signal: left.signal,
  });
  if (!response.ok || !response.body) throw new Error(`${response.status} ${await response.text()}`);
  let text = '';
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    text += decoder.decode(next.value, { stream: true });
    if (text.includes('"type":"record"')) break;
  }
  const ms = performance.now() - startedAt;
  left.abort();
  if (!text.includes('"type":"record"')) throw new Error(`no record: ${text.slice(0, 300)}`);
  return ms;
}

const bound = {
  wanted: 'ours < 300',
  meets: ({ ours }: { readonly ours: number | null }): boolean => ours !== null && ours < 300,
};
const baselineName = 'ssh STATION journalctl -n 1000';

async function stage(context: BenchContext) {
  const { dir, effort } = context;
  const journal = join(dir, 'journal');
  await writeJournal(journal, entries(RECORDS[effort]));
  const { sshd, entries: drivers } = await sshEntries(context, join(dir, 'ssh'), STATIONS[effort]);
  const depot = await startDepot(context, { dataDir: join(dir, 'depot') });
  const logs = { DiagnosticsLog: [{ journal: { directory: journal } }] };
  depot.configure(Object.fromEntries(drivers.map((driver, n) => [`gate-${n}`, { driver: { ...driver, logs } }])));
  const names = drivers.map((_driver, n) => `gate-${n}`);
  for (const name of names) {
    // By another worker: that of logs has no connection yet.
    const isLookedAt = async (): Promise<boolean> => {
      const { firmware } = (await depot.get(`/stations/${name}`).catch(() => ({}))) as { firmware?: object };
      return firmware !== undefined;
    };
    await awaitUntil(isLookedAt, LOOKED_AT_MS, `a look at ${name}`);
  }
  const options = `-q -i '${sshd.privateKeyFile}' -o UserKnownHostsFile='${sshd.knownHostsFile}' -o BatchMode=yes -p ${sshd.port}`;
  const script = `ssh ${options} ${sshd.user}@127.0.0.1 journalctl --directory=${journal} -n 1000 | sed -n 1p`;
  return { depot, names, baseline: async () => (await timedCommand(script, {})).seconds * 1000 };
}

export const logView: Benchmark<'log-view' | 'log-view-open'> = {
  rows: [
    { name: 'log-view', unit: 'ms', baselineName, ...bound },
    { name: 'log-view-open', unit: 'ms', baselineName, ...bound },
  ],
  async measure(context) {
    const { depot, names, baseline } = await stage(context);
    const beside: number[] = [];
    const anew: number[] = [];
    const open: number[] = [];
    for (const name of names) {
      beside.push(await baseline());
      anew.push(await firstRecord(depot, name));
      open.push(await firstRecord(depot, name));
    }
    const notes = [`a journal of ${RECORDS[context.effort]} records in one boot`];
    return {
      'log-view': { ours: anew, baseline: beside, notes: ['with a new connection to the station', ...notes] },
      'log-view-open': { ours: open, baseline: beside, notes: ['over a connection that is open', ...notes] },
    };
  },
};
