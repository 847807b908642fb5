/** What happened in one schedule, in the order in which it took effect: commits, effects on the charger, answers. */

import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { EffectStep } from '@khumbu/station-drivers/port';

interface At {
  /** How many gates had been passed. */
  readonly gate: number;
  readonly now: number;
  readonly by: string;
}

export interface Committed extends At {
  readonly kind: 'commit';
  readonly records: readonly OperationRecord[];
  readonly statuses: readonly OutboxEntry[];
  /** The station was reserved for a reset until then. */
  readonly reservedUntil?: number;
  /** A boot of EVerest was counted. */
  readonly beginsBoot?: true;
}

export interface Begun extends At {
  readonly kind: 'effect';
  readonly step: EffectStep;
  readonly operationId: string;
  /** Its record at that moment. */
  readonly record: OperationRecord | undefined;
}

/** An answer that was sent: its receiver may build on it. */
export interface Told extends At {
  readonly kind: 'told';
  readonly request: 'update_firmware' | 'is_reset_allowed' | 'reset' | 'cancel' | 'allow' | 'boot';
  readonly reply: unknown;
  readonly operationId?: string;
  readonly byDefault?: true;
}

export type Entry = Committed | Begun | Told;

interface CommitJson {
  readonly ops: readonly (readonly string[])[];
}

/** What a commit of the product writes. */
export function readCommit(
  json: string,
): Pick<Committed, 'records' | 'statuses' | 'reservedUntil' | 'beginsBoot'> & { readonly canceled: readonly string[] } {
  const { ops } = JSON.parse(json) as CommitJson;
  const records: OperationRecord[] = [];
  const statuses: OutboxEntry[] = [];
  const canceled: string[] = [];
  let reservedUntil: number | undefined;
  let beginsBoot = false;
  for (const [command, key = '', ...rest] of ops) {
    const data = command === 'HSET' ? rest[rest.indexOf('data') + 1] : undefined;
    if (data?.startsWith('{') && rest.includes('data')) records.push(JSON.parse(data) as OperationRecord);
    if (command === 'RPUSH' && key.includes(':outbox:'))
      statuses.push(...rest.map((one) => JSON.parse(one) as OutboxEntry));
    if (command === 'HSET' && rest[0] === STATION_FIELDS.resetReservedUntil) reservedUntil = Number(rest[1]);
    // The beginning of one takes the expectation of a restart off.
    if (command === 'HDEL' && rest[0] === STATION_FIELDS.restartExpected)
      beginsBoot ||= ops.some(([other, , field]) => other === 'HSET' && field === STATION_FIELDS.bootEpoch);
    const hint = command === 'PUBLISH' ? rest[0] : undefined;
    if (hint?.startsWith('cancel ')) canceled.push(hint.slice('cancel '.length));
  }
  return {
    records,
    statuses,
    canceled,
    ...(reservedUntil === undefined ? {} : { reservedUntil }),
    ...(beginsBoot ? { beginsBoot } : {}),
  };
}

/** Short names in the order in which things are met: `update1` is the first update. */
export function createAliases() {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();
  return (id: string): string => {
    const known = names.get(id);
    if (known !== undefined) return known;
    const kind = /^(?:firmware-)?([a-z]+)/.exec(id)?.[1] ?? 'it';
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    names.set(id, `${kind}${count}`);
    return `${kind}${count}`;
  };
}
