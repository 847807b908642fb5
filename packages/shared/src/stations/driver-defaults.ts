/** `defaults.driver` and the `driver` of a station: one entry, the station's own members first. Pure. */
import { firstMismatch, type Mismatch } from '../contract/codec.js';
import { Driver, type DriverEntry, type DriverPart } from './driver-entry.js';
import { type RedactRule, RedactRules, redactProblem } from './redact-rules.js';

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Each of these takes the place of the other: a station's own way to log in is not mixed with that of the defaults. */
const EITHER = ['private_key_file', 'agent_socket'] as const;
/** Handed to a driver of someone else as they are. */
const OPAQUE = 'settings';

function mergedMembers(base: Members, own: Members): Members {
  const replaced = EITHER.some((member) => member in own) ? EITHER : [];
  const kept = Object.entries(base).filter(([member]) => !replaced.some((one) => one === member));
  const given = Object.entries(own).map(([member, value]) => {
    const before = base[member];
    const isMerged = member !== OPAQUE && isObject(before) && isObject(value);
    return [member, isMerged ? mergedMembers(before, value) : value] as const;
  });
  return Object.fromEntries([...kept, ...given]);
}

/** Whether it speaks of a driver of someone else. */
const isPackaged = (part: Members): boolean => 'package' in part || OPAQUE in part;

/** Objects in both are merged member by member, argument vectors are replaced. Another kind of driver takes nothing over. */
export function mergedDriver(base: DriverPart | undefined, own: DriverPart | undefined): DriverPart | undefined {
  if (own === undefined) return base;
  if (!isObject(base) || !isObject(own) || isPackaged(base) !== isPackaged(own)) return own;
  return mergedMembers(base, own) as DriverPart;
}

/** By what it is not whole, with the path inside the entry. */
export const driverMismatch = (part: DriverPart): Mismatch | undefined =>
  firstMismatch(Driver, part) ?? sameNameMismatch(part) ?? redactMismatch(part);

/** Two log sources of one type with the same name: each is a folder of the archive. The part fits the schema. */
function sameNameMismatch(part: DriverPart): Mismatch | undefined {
  const logs = typeof part === 'object' && 'logs' in part ? part.logs : undefined;
  for (const type of ['DiagnosticsLog', 'SecurityLog'] as const) {
    const names = (logs?.[type] ?? []).map((source) => source?.name);
    const second = names.findIndex((name, at) => name !== undefined && names.indexOf(name) < at);
    if (second < 0) continue;
    const path = ['logs', type, String(second), 'name'];
    return { path, text: `/${path.join('/')} is the name of another source of the type as well` };
  }
  return undefined;
}

/** A rule of redaction that cannot be used. */
export function redactMismatch(part: DriverPart): Mismatch | undefined {
  const rules: unknown = typeof part === 'object' && 'logs' in part ? (part.logs?.redact ?? []) : [];
  const path = ['logs', 'redact'];
  const wrong = firstMismatch(RedactRules, rules);
  if (wrong) return { ...wrong, path: [...path, ...wrong.path], text: `/${path.join('/')}${wrong.text}` };
  const found = redactProblem(rules as readonly RedactRule[]);
  if (!found) return undefined;
  const at = [...path, String(found.index)];
  return { path: at, text: `/${at.join('/')} ${found.text}` };
}

/** The entry of a station, of a file that was checked when it was read. */
export const wholeDriver = (base: DriverPart | undefined, own: DriverPart | undefined): DriverEntry | undefined =>
  mergedDriver(base, own) as DriverEntry | undefined;
