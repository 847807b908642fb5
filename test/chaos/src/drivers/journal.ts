/** Programs of a charger that write down when they begin and how they end. */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Run } from './charger.js';

/** VERB ARGV...: the process group tells one run of a program of the driver's from another. */
const WRITE_DOWN = `
verb=$1
shift
read -r _ _ _ _ group _ </proc/self/stat
beside=
for each in "$D"/live/*; do
  [ ! -e "$each" ] || ! kill -0 "\${each##*/}" 2>/dev/null || beside=' beside'
done
: >"$D/live/$$"
echo "begin $verb $group$beside" >>"$D/journal"
"$@"
code=$?
echo "end $verb $group $code" >>"$D/journal"
rm -f "$D/live/$$"
exit $code`;

/** A program of the charger: a shell script that knows its folder as \`$D\`. */
export async function writeProgram(dir: string, name: string, body: string): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, `#!/bin/sh\nD='${dir}'\n${body}\n`);
  await chmod(file, 0o755);
  return file;
}

export interface Journal {
  /** To put before an argument vector. */
  readonly before: (verb: Run['verb']) => readonly string[];
  readonly clear: () => Promise<void>;
  readonly runs: () => Promise<readonly Run[]>;
}

/** Runs in the order in which they began. Pure. */
function readRuns(text: string): readonly Run[] {
  const runs: Run[] = [];
  for (const line of text.split('\n')) {
    const [what, verb, group = '', last] = line.split(' ');
    if (verb !== 'install' && verb !== 'reboot') continue;
    const processGroup = Number(group);
    if (what === 'begin') runs.push({ verb, processGroup, isBesideAnother: last === 'beside' });
    const at = runs.findLastIndex((run) => run.verb === verb && run.processGroup === processGroup);
    const run = runs[at];
    if (what === 'end' && run) runs[at] = { ...run, code: Number(last) };
  }
  return runs;
}

export async function createJournal(dir: string): Promise<Journal> {
  const file = join(dir, 'journal');
  await mkdir(join(dir, 'live'), { recursive: true });
  await writeFile(file, '');
  const program = await writeProgram(dir, 'write-down', WRITE_DOWN);
  return {
    before: (verb) => [program, verb],
    async clear() {
      await writeFile(file, '');
      await rm(join(dir, 'live'), { recursive: true });
      await mkdir(join(dir, 'live'));
    },
    runs: async () => readRuns(await readFile(file, 'utf8')),
  };
}
