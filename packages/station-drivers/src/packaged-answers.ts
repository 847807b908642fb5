/** What a driver that someone else wrote answers and throws, as people may see it: it may quote what a station said, and be no TypeScript. Pure. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { verdictsOf } from './check/findings.js';
import {
  type CheckFinding,
  type DriverCheck,
  type EffectState,
  STATION_VERBS,
  type StationEvidence,
  type StationVerb,
  type VerbVerdict,
} from './port.js';
import type { StationText } from './station-text.js';

const MOST_STACK = 4000;
const MOST_FINDING = 2000;

/** A code, a name of a class: what others branch by. Anything else is words. */
const WORD = /^[A-Za-z][\w.-]{0,63}$/;
const isWord = (value: unknown): value is string => typeof value === 'string' && WORD.test(value);

/** The same kind of error whatever was taken out of its words: callers tell faults of a driver from errors that were foreseen. */
export function shownError(error: unknown, texts: StationText): Error {
  const message = texts.error(error, 500);
  if (!(error instanceof Error)) return new Error(message);
  const { code, name, stack } = error as { readonly code?: unknown; readonly name?: unknown; readonly stack?: unknown };
  const isCoded = error instanceof CodedError && isWord(code);
  const shown = isCoded ? new CodedError(code, message) : new Error(message);
  if (!isCoded && (isWord(code) || typeof code === 'number')) Object.assign(shown, { code });
  if (isWord(name)) shown.name = name;
  // Its beginning is the message.
  Object.defineProperty(shown, 'stack', {
    value: texts.shown(stack as string, MOST_STACK),
    configurable: true,
    writable: true,
  });
  return shown;
}

export function shownEffect(effect: EffectState, texts: StationText): EffectState {
  if (effect.state !== 'failed') return effect;
  const code = effect.code === 'verification_failed' ? 'verification_failed' : 'failed';
  return { state: 'failed', code, message: texts.shown(effect.message) || 'the driver does not say why' };
}

export function shownEvidence({ version, slot, ...rest }: StationEvidence, texts: StationText): StationEvidence {
  const [shownVersion, shownSlot] = [texts.shown(version as string, 200), texts.shown(slot as string, 200)];
  return {
    ...rest,
    ...(shownVersion === '' ? {} : { version: shownVersion }),
    ...(shownSlot === '' ? {} : { slot: shownSlot }),
  };
}

const OUTCOMES: readonly CheckFinding['outcome'][] = ['ok', 'warning', 'missing', 'unknown', 'not_needed'];
const VERDICTS: readonly VerbVerdict[] = ['can', 'cannot', 'unknown', 'not_needed', 'not_supported'];

const listed = <T>(list: readonly T[], value: unknown): T | undefined => list.find((each) => each === value);

function shownFinding(finding: CheckFinding, texts: StationText): CheckFinding {
  const { subject, outcome, text, remedy, verbs } = finding;
  return {
    subject: texts.shown(subject, 100) || 'check',
    outcome: listed(OUTCOMES, outcome) ?? 'unknown',
    text: texts.shown(text, MOST_FINDING),
    ...(remedy === undefined ? {} : { remedy: texts.shown(remedy, MOST_FINDING) }),
    verbs: Array.isArray(verbs) ? STATION_VERBS.filter((verb) => verbs.includes(verb)) : [],
  };
}

const numberOf = <Name extends string>(name: Name, value: unknown): { readonly [Key in Name]?: number } =>
  typeof value === 'number' && Number.isFinite(value) ? ({ [name]: value } as { [Key in Name]: number }) : {};

/** Members that are known, each in its form. A verb of which nothing is said, or nothing that is known, follows from the findings. */
export function shownCheck(check: DriverCheck, texts: StationText): DriverCheck {
  const findings = check.findings.map((finding) => shownFinding(finding, texts));
  const byFindings = verdictsOf(findings);
  const said = check.verbs as Partial<Record<StationVerb, unknown>> | undefined;
  const verbs = Object.fromEntries(
    STATION_VERBS.map((verb) => [verb, listed(VERDICTS, said?.[verb]) ?? byFindings[verb]]),
  ) as Record<StationVerb, VerbVerdict>;
  return {
    verbs,
    findings,
    ...numberOf('latencyMs', check.latencyMs),
    ...numberOf('clockOffsetMs', check.clockOffsetMs),
    ...numberOf('freeBytes', check.freeBytes),
  };
}
