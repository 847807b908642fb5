/** An order for many stations: asked about, sent until it is decided, and waited for. */
import type { BulkResult, Operation, OperationKind } from '@khumbu/client/generated/rest-api';
import { STATION_FIELDS } from '@khumbu/filter/fields';
import { type CliContext, type OutputFlags, sayFailure, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import type { Depot } from '../depot/open-depot.js';
import type { WaitFlags } from '../operations/await-operation.js';
import {
  exitOf,
  isRefusal,
  isUndecided,
  RESULT_HEAD,
  rowsOf,
  type SendBulk,
  type Sent,
  sendUntilDecided,
  type Target,
} from '../operations/bulk-order.js';
import { awaitOrder } from '../operations/watch-order.js';
import { table } from '../output/shown.js';
import { plain } from '../output/terminal.js';
import { againText, type DateFlags } from './bulk-key.js';
import { type ConfirmFlags, confirmed } from './confirm.js';
import { checkFilter, type FilterFlags } from './filter-flag.js';

/** Names that are shown before a person says yes. */
const MOST_NAMES = 12;

export interface BulkFlags extends DepotFlags, OutputFlags, WaitFlags, FilterFlags {
  readonly title?: string;
  readonly dryRun: boolean;
  readonly wait: boolean;
  readonly idempotencyKey?: string;
}

/** What is ordered. `warning`: it is asked for before, with these words about each station. */
interface Doing {
  readonly kind: OperationKind;
  readonly send: SendBulk;
  readonly ask?: { readonly flags: ConfirmFlags; readonly what: string; readonly warning: string };
}

/** Throws a `Failure` where none are named, or the filter cannot be read. */
export function targetOf(stations: readonly string[], { filter }: FilterFlags): Target {
  if (stations.length === 0 && filter === undefined) throw usage('names of stations, --filter or both say which');
  if (filter !== undefined) checkFilter(filter, STATION_FIELDS);
  return {
    // In order, so that the same stations are the same request.
    ...(stations.length === 0 ? {} : { stations: [...new Set(stations)].sort() }),
    ...(filter === undefined ? {} : { filter }),
  };
}

/** A person says yes to what became of the target: no station is left that fits only after the question. */
async function confirmedStations(
  context: CliContext,
  flags: BulkFlags,
  ask: NonNullable<Doing['ask']>,
  tried: BulkResult,
): Promise<string[]> {
  const { what, warning } = ask;
  const stations = tried.results.map(({ stationId }) => stationId).sort();
  const names = stations.map(plain);
  const shown = names.length > MOST_NAMES ? `${names.slice(0, MOST_NAMES).join(', ')}, ...` : names.join(', ');
  const refuse = tried.refused === 0 ? '' : `, of which ${tried.refused} would refuse it now`;
  const count = names.length === 1 ? '1 station' : `${names.length} stations`;
  const answer = { ...ask.flags, keyStdin: flags.keyStdin };
  await confirmed(context, answer, `${count} will be ${what} (${shown})${refuse}. ${warning}`);
  return stations;
}

function sayCounts({ terminal }: CliContext, { orderId, dryRun, total, accepted, refused, results }: BulkResult): void {
  const undecided = results.filter(isUndecided).length;
  const open = undecided === 0 ? '' : `, ${undecided} undecided`;
  const counts = `${accepted} accepted, ${refused - undecided} refused${open}`;
  terminal.say(total === 0 ? 'no station fits' : dryRun ? `nothing is done: ${counts}` : `${orderId}: ${counts}`);
}

function tell(
  { terminal, ending }: CliContext,
  { json }: OutputFlags,
  result: BulkResult,
  operations?: readonly Operation[],
): void {
  if (json) terminal.json(operations ? { ...result, operations } : result);
  else if (result.total > 0) terminal.print(table(RESULT_HEAD, rowsOf(result, operations)));
  ending.exit = exitOf(result, operations);
}

/** Rejects with a `Failure` where a person says no. */
export async function orderMany(
  context: CliContext,
  depot: Depot,
  flags: BulkFlags & DateFlags,
  whole: Target,
  { kind, send, ask }: Doing,
): Promise<void> {
  const { dryRun, title, wait, timeout } = flags;
  const key = flags.idempotencyKey ?? crypto.randomUUID();
  const submit = (target: Target, isTrial: boolean): Promise<Sent> =>
    sendUntilDecided(
      context,
      depot,
      { target, ...(title === undefined ? {} : { title }), ...(isTrial ? { dryRun: true } : {}) },
      key,
      send,
    );
  const isAsked = ask?.flags.yes === false && !dryRun;
  let target = whole;
  if (ask && isAsked) {
    const { result: tried } = await submit(whole, true);
    // Nothing to say yes to, and so nothing is done, whoever would accept it a moment later.
    if (tried.accepted === 0) {
      sayCounts(context, tried);
      return tell(context, flags, tried);
    }
    const stations = await confirmedStations(context, flags, ask, tried);
    target = { stations, ...(whole.filter === undefined ? {} : { filter: whole.filter }) };
  }
  const sayAgain = (): void => {
    const chosen = isAsked && target.filter !== undefined ? { chosen: target.stations } : {};
    context.terminal.say(againText(key, flags, { isAsked, ...chosen }));
  };
  const { result, failure } = await submit(target, dryRun).catch((error: unknown) => {
    if (!dryRun && !isRefusal(error)) sayAgain();
    throw error;
  });
  sayCounts(context, result);
  if (!dryRun && result.results.some(isUndecided)) sayAgain();
  if (failure) {
    tell(context, flags, result);
    const { ending } = context;
    if (failure.exit === 'interrupted') ending.exit = failure.exit;
    return sayFailure(context, flags, { ...failure, exit: ending.exit });
  }
  const { orderId } = result;
  const operationIds = result.results.flatMap(({ operationId }) => (operationId === undefined ? [] : [operationId]));
  const isWaiting = (wait || timeout !== undefined) && !dryRun;
  const operations = isWaiting ? await awaitOrder(context, depot, { orderId, kind, operationIds }, flags) : undefined;
  tell(context, flags, result, operations);
}
