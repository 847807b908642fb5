/** A real station, looked at before it is used. Nothing is written there: the script that looks is an argument. */
import { readFileSync } from 'node:fs';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { type ReachStage, stageOf, unreachable } from '../pool.js';
import type { CheckFinding, DriverCheck, StationVerb } from '../port.js';
import type { Profile } from '../profiles/profile.js';
import { withValues } from '../profiles/verbs.js';
import { call } from '../station/call.js';
import type { Limits } from '../station/entry-settings.js';
import { readClockText } from '../station/protocol.js';
import { assertLetIn } from '../station/station-program.js';
import { plainText, type StationText } from '../station-text.js';
import type { Transport } from '../transports/transport.js';
import {
  findingOfCommand,
  findingOfSudo,
  findingOfSystemctl,
  findingOfUnit,
  type PlannedCommand,
  SAMPLES,
  unitOf,
  unitQuestion,
} from './commands.js';
import { EVERY_VERB, good, shownFinding, verdictsOf, wanting } from './findings.js';
import { type Answer, type Looked, type Question, readAnswers, wordsOf } from './questions.js';
import { findingsOfFacts, freeBytesOf } from './station-facts.js';

const textOf = (name: string): string => readFileSync(new URL(`../../../station/${name}`, import.meta.url), 'utf8');
/** Functions of the station program that only look. */
const SHARED = /^# --- Who keeps the clock .*\n([\s\S]*?)^# --- end of this part ---$/m.exec(
  textOf('khumbu-station.sh'),
);
if (!SHARED) throw new TypeError('khumbu-station.sh has lost the part that khumbu-check.sh shares');
const SCRIPT = textOf('khumbu-check.sh').replace(/^# @CLOCK@.*$/m, () => SHARED[1] ?? '');
const CLOCK_S = 10;
const LATENCY_ARGV = ['true'];

export interface CheckParts {
  readonly stateDir: string;
  readonly limits: Limits;
  readonly transport: Transport;
  readonly profile: Profile;
  readonly texts?: StationText;
  /** A command of the entry's own, in place of the kernel's boot id; empty: none. */
  readonly bootId: readonly string[];
}

/** What to do about it, by how far the way to the station went. */
const REMEDIES: Readonly<Record<ReachStage, string>> = {
  our_key: 'mend private_key_file of its entry',
  pinned_key: 'pin its host key: npm run station-trust',
  network: 'look whether it is on, its host and port, and the network between',
  host_key: 'find out why its key is another one, then pin the new one: npm run station-trust',
  algorithms: 'let its SSH server allow curve25519-sha256 and aes-gcm as well',
  login: 'put our public key into authorized_keys of its user',
  gate: 'make it anew for this version of Khumbu and this entry: npm run station-gate',
};

/** Commands that a look asks about: of all verbs, in the order of the questions. */
export const commandsOf = ({ commands, check }: Profile): readonly PlannedCommand[] => [...check.commands, ...commands];

/** Commands that restart a unit of systemd. */
const unitsOf = (profile: Profile): readonly (readonly [PlannedCommand, string])[] =>
  commandsOf(profile).flatMap((command) => {
    const unit = unitOf(command);
    return unit === undefined ? [] : [[command, unit] as const];
  });

function questionsOf({ profile, bootId }: CheckParts): readonly Question[] {
  return [
    ...commandsOf(profile).map(({ argv }) => ({ kind: 'program', argv }) as const),
    ...unitsOf(profile).map(([, unit]) => ({ kind: 'ask', argv: unitQuestion(unit), limitS: CLOCK_S }) as const),
    ...(bootId.length > 0 ? [{ kind: 'ask', argv: bootId, limitS: CLOCK_S } as const] : []),
    ...profile.check.questions,
    // The last: what it says is about the end of the look.
    { kind: 'ask', argv: profile.readClock(), limitS: CLOCK_S },
  ];
}

const sampled = (question: Question, stateDir: string): Question =>
  question.kind === 'program' ? { ...question, argv: withValues(question.argv, SAMPLES(stateDir)) } : question;

/** The argument vectors by which a station is looked at: always the same for one entry. */
export function lookArgvs(parts: CheckParts): {
  readonly latency: readonly string[];
  readonly look: readonly string[];
} {
  const words = questionsOf(parts).flatMap((question) => wordsOf(sampled(question, parts.stateDir)));
  return { latency: LATENCY_ARGV, look: ['/bin/sh', '-c', SCRIPT, 'khumbu-check', parts.stateDir, ...words] };
}

function unreachableCheck(error: unknown, texts: StationText): DriverCheck {
  const stage = stageOf(error);
  const text = texts.again((error as Error).message);
  const remedy = stage === undefined ? 'look at the station and the way to it' : REMEDIES[stage];
  const findings = [wanting('missing', stage ?? 'reach', text, remedy, EVERY_VERB)];
  return { findings, verbs: verdictsOf(findings) };
}

function bootIdFinding({ code, out, err }: Extract<Answer, { kind: 'ask' }>, texts: StationText): CheckFinding {
  const verbs: readonly StationVerb[] = ['observe', 'install', 'reboot', 'restart'];
  if (code === 0 && out.trim() !== '') return good('boot_id', texts.shown(out, 80), verbs);
  const why = texts.shown(err, 200) || 'it prints nothing';
  return wanting('missing', 'boot_id', `the boot id cannot be read: ${why}`, 'mend boot_id of its entry', verbs);
}

/** Its clock against ours, and why it cannot be read. */
function clockOf(
  answer: Answer | undefined,
  ourMs: number,
  texts: StationText,
): { offsetMs?: number; finding?: CheckFinding } {
  if (answer?.kind !== 'ask') return {};
  try {
    if (answer.code !== 0) throw new Error(texts.shown(answer.err, 200) || 'its command failed');
    return { offsetMs: readClockText(Buffer.from(answer.out)).getTime() - ourMs };
  } catch (error) {
    const text = `the clock cannot be read: ${(error as Error).message}`;
    return { finding: wanting('missing', 'clock', text, 'mend read_clock of its entry', ['read_clock']) };
  }
}

/** Turn what was seen into findings. Pure. */
function judge(parts: CheckParts, { facts, answers }: Looked, ourMs: number, latencyMs: number): DriverCheck {
  const { stateDir, profile, bootId, texts = plainText } = parts;
  const commands = commandsOf(profile);
  const ofCommands = commands.flatMap((command, at) => {
    const answer = answers[at];
    if (answer?.kind !== 'program') return [];
    const bySystemd = answer.state === 'found' ? findingOfSystemctl(command, facts, texts) : undefined;
    return [findingOfCommand(command, answer, texts), ...(bySystemd ? [bySystemd] : [])];
  });
  const units = unitsOf(profile);
  const ofUnits = units.flatMap(([command, unit], at) => {
    const answer = answers[commands.length + at];
    return answer?.kind === 'ask' ? (findingOfUnit(command, unit, answer, texts) ?? []) : [];
  });
  const rest = answers.slice(commands.length + units.length, -1);
  const [boot] = bootId.length > 0 ? rest : [];
  const ofBoot = boot?.kind === 'ask' ? [bootIdFinding(boot, texts)] : [];
  const { offsetMs, finding } = clockOf(answers.at(-1), ourMs, texts);
  const setsOwnClock = commands.some(({ verb }) => verb === 'set_clock');
  const findings = [
    good('reach', `reached in ${latencyMs.toFixed(0)} ms by ${parts.transport.name}`, EVERY_VERB),
    ...findingsOfFacts(facts, { stateDir, setsOwnClock, clockOffsetMs: offsetMs, texts }),
    ...(finding ? [finding] : []),
    ...ofBoot,
    ...ofCommands,
    ...ofUnits,
    ...[findingOfSudo(commands, facts.get('sudo') ?? '', texts)].filter((found) => found !== undefined),
    ...profile.check.judge(bootId.length > 0 ? rest.slice(1) : rest, ourMs + (offsetMs ?? 0), texts),
  ].map((finding) => shownFinding(finding, texts));
  // Logs that nobody has named are read where they are.
  const hasLogs = findings.some(({ subject }) => subject === 'logs');
  const has = new Set<StationVerb>([
    ...commands.map(({ verb }) => verb),
    'set_clock',
    ...(hasLogs ? (['logs'] as const) : []),
  ]);
  const freeBytes = freeBytesOf(facts);
  return {
    verbs: verdictsOf(findings, has),
    findings,
    latencyMs: Math.round(latencyMs),
    ...(offsetMs === undefined ? {} : { clockOffsetMs: Math.round(offsetMs) }),
    ...(freeBytes === undefined ? {} : { freeBytes }),
  };
}

export async function checkStation(parts: CheckParts, signal: AbortSignal): Promise<DriverCheck> {
  const { transport, limits, texts = plainText } = parts;
  const argvs = lookArgvs(parts);
  const options = { signal, timeoutMs: (limits.commandS + limits.connectS) * 1000, texts };
  try {
    // The first one opens the connection; the second one is what there and back takes.
    await call(transport, argvs.latency, options);
    const before = performance.now();
    await call(transport, argvs.latency, options);
    const latencyMs = performance.now() - before;
    const { stdout, stderr, code } = await call(transport, argvs.look, options);
    const ourMs = Date.now() - latencyMs / 2;
    assertLetIn({ code, stderr });
    if (code !== 0 && stdout.length === 0)
      throw unreachable(`its shell does not run a script: ${texts.shown(stderr, 300) || `it ends with ${code}`}`);
    return judge(parts, readAnswers(stdout, questionsOf(parts)), ourMs, latencyMs);
  } catch (error) {
    signal.throwIfAborted();
    if (!hasCode(error, 'STATION_UNREACHABLE', 'STATION_FAILED', 'OUTPUT_TOO_LONG')) throw error;
    return unreachableCheck(error, texts);
  }
}
