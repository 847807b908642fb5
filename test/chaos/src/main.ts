/**
 * `npm run chaos`: attack every promise and print what was tried and what was found. `--seed N` repeats a run, `--only
 * NAME` runs one experiment (may repeat), `--short` runs what the tests run, `--cases N` sets the number of random cases,
 * `--list` names the experiments. Exit code 0 when everything held.
 */
import { parseArgs } from 'node:util';
import { EXPERIMENTS } from './experiments/index.js';
import { type Outcome, runExperiment } from './run-experiment.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const USAGE = 'usage: npm run chaos -- [--list] [--only NAME]... [--seed N] [--cases N] [--short]';

class UsageError extends Error {}

function readNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name} takes a whole number`);
  return Number(text);
}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        list: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        seed: { type: 'string' },
        cases: { type: 'string' },
        short: { type: 'boolean', default: false },
      },
    });
    const unknown = values.only.find((name) => !EXPERIMENTS.some((experiment) => experiment.name === name));
    if (unknown !== undefined) throw new UsageError(`no experiment is called ${unknown}`);
    const cases = readNumber('cases', values.cases);
    const seed = readNumber('seed', values.seed) ?? Math.floor(Math.random() * 1_000_000);
    const { list, only, short } = values;
    return { list, only, short, seed, cases };
  } catch (error) {
    if (!(error instanceof UsageError) && !(error instanceof TypeError)) throw error;
    process.stderr.write(
      `${error.message}\n${USAGE}\nexperiments: ${EXPERIMENTS.map(({ name }) => name).join(', ')}\n`,
    );
    process.exit(2);
  }
}

function report(outcomes: readonly Outcome[], seed: number): void {
  say('');
  for (const { name, promise, held, broken, skipped, figures, seconds } of outcomes) {
    say(`${broken.length === 0 ? 'holds ' : 'BROKEN'} ${name} (${seconds.toFixed(0)} s): ${promise}`);
    say(`       ${held} held, ${broken.length} broken, ${skipped.length} not tried`);
    for (const [figure, value] of Object.entries(figures)) say(`       ${figure}: ${value}`);
    for (const { what, seen } of broken) say(`       broken: ${what}: ${seen}`);
    for (const { what, why } of skipped) say(`       not tried: ${what}: ${why}`);
  }
  const sum = (count: (outcome: Outcome) => number): number => outcomes.reduce((all, one) => all + count(one), 0);
  say('');
  say(`seed ${seed}: ${sum((one) => one.held)} held, ${sum((one) => one.broken.length)} broken`);
}

const { list, only, seed, cases, short } = readArguments();
if (list) {
  for (const { name, promise } of EXPERIMENTS) say(`${name}: ${promise}`);
} else {
  // A stop in the middle must not leave servers behind: children end with this process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  const outcomes: Outcome[] = [];
  for (const experiment of EXPERIMENTS.filter(({ name }) => only.length === 0 || only.includes(name))) {
    say(`${experiment.name}: ${experiment.promise}`);
    const effort = short ? 'short' : 'long';
    outcomes.push(await runExperiment(experiment, { seed, effort, say, ...(cases === undefined ? {} : { cases }) }));
  }
  report(outcomes, seed);
  process.exit(outcomes.some(({ broken }) => broken.length > 0) ? 1 : 0);
}
