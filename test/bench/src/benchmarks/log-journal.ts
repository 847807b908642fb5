/** A systemd journal of half a million records to an archive, beside journalctl and gzip. */
import { join } from 'node:path';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { type Depot, startDepot } from '../depot.js';
import { journalEntry, makeJournal } from '../journal-station.js';
import { cpuSecondsWithPrograms, MB } from '../process-figures.js';
import type { Benchmark } from '../row.js';
import { interleaved } from '../stage.js';
import { startStation } from '../station-client.js';
import { type CommandTime, timedCommand } from '../timed-command.js';

const RECORDS = { full: 500_000, short: 5000 } as const;
const PAIRS = { full: 5, short: 1 } as const;
const PATIENCE_MS = 120_000;
const STATION = 'journal';

/** What is compared, and what all fields of the records cost, ours being some of them. */
const BASELINE = 'journalctl --directory="$JOURNAL" | gzip > "$OUT"';
const EXPORT = 'journalctl --directory="$JOURNAL" --output=export | gzip > "$OUT"';

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
const told = (name: string, times: readonly CommandTime[]): string =>
  `${name}: ${median(times.map(({ seconds }) => seconds)).toFixed(2)} s, processors ${median(times.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2)} s`;

export const logJournal: Benchmark<'log-journal'> = {
  rows: [
    {
      name: 'log-journal',
      unit: 's',
      baselineName: 'journalctl | gzip > file',
      wanted: 'ratio <= 1.15',
      meets: ({ ratio }) => ratio !== null && ratio <= 1.15,
    },
  ],
  async measure(context) {
    const { dir, effort } = context;
    const directory = await makeJournal(dir, RECORDS[effort]);
    const depot: Depot = await startDepot(context, { dataDir: join(dir, 'depot') });
    depot.configure({ [STATION]: { driver: journalEntry(dir, directory) } });
    const station = await startStation(context, depot, STATION);
    const worker = depot.pidOf('log-worker-1');
    let requests = 0;
    const ours = async (): Promise<CommandTime> => {
      requests += 1;
      const [startedAt, cpu] = [performance.now(), cpuSecondsWithPrograms(worker)];
      const location = `s3://${depot.endpoints.s3Bucket}/logs/${STATION}/`;
      const request = { request_id: requests, type: 'DiagnosticsLog', location };
      await askUntilDecided('upload_logs', () => station.request('upload_logs', request));
      const { atMs } = await station.awaitStatus(requests, 'Uploaded', PATIENCE_MS);
      return { seconds: (atMs - startedAt) / 1000, cpuSeconds: cpuSecondsWithPrograms(worker) - cpu };
    };
    const command = (script: string) => timedCommand(script, { JOURNAL: directory, OUT: join(dir, 'other.gz') });
    // The first one puts the scripts there, and everything into memory.
    await ours();
    await command(BASELINE);
    const pairs = await interleaved(PAIRS[effort], ours, () => command(BASELINE));
    const [last] = ((await depot.get(`/stations/${STATION}/log-uploads`)) as { items: { sizeBytes?: number }[] }).items;
    return {
      'log-journal': {
        ours: pairs.ours.map(({ seconds }) => seconds),
        baseline: pairs.baseline.map(({ seconds }) => seconds),
        notes: [
          told('ours', pairs.ours),
          told('journalctl | gzip', pairs.baseline),
          told('journalctl --output=export | gzip', [await command(EXPORT)]),
          `the archive has ${((last?.sizeBytes ?? 0) / MB).toFixed(1)} MB`,
        ],
      },
    };
  },
};
