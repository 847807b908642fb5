/**
 * The scheduled collection: at a time of day the logs of all stations with some labels come into the depot's own store, a few at once.
 * The windows of a station follow each other without a gap, by its own clock: what failed in one night, also of one source, is in the
 * window of the next.
 */
import { createHash } from 'node:crypto';
import type { Intake } from '@khumbu/intake/intake';
import type { Store } from '@khumbu/operations/kinds/store';
import { COLLECTOR, copyFolder } from '@khumbu/operations/log-copies/log-copy';
import { isEnded } from '@khumbu/operations/records/record';
import type { ReadGroups } from '@khumbu/operations/stations/read-groups';
import { lastDailyMoment } from '@khumbu/operations/wan/download-window';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { CollectionState, OpenItem } from './collection-state.js';
import { createEndings } from './endings.js';
import { type CollectionRules, hasLabels } from './settings.js';

export interface CollectionDeps {
  readonly rules: CollectionRules;
  readonly state: CollectionState;
  readonly store: Pick<Store, 'load'>;
  readonly intake: Pick<Intake, 'uploadLogs' | 'confirm'>;
  readonly directory: Pick<StationDirectory, 'configured' | 'profileOf'>;
  readonly readGroups: ReadGroups;
  /** The depot's time, milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Pick<Logger, 'info' | 'warn' | 'debug'>;
}

/** Refusals of a station that has no such logs, or is not served: nothing is lost. */
const NOTHING_TO_COLLECT: readonly string[] = ['log_type_unknown', 'station_not_configured'];

const DAY_MS = 24 * 3600_000;
/** Whoever has the station's slot for logs is waited for. */
const BUSY_MS = 30_000;
/** Orders in a row that came to nothing, for one station in one run. */
const MOST_TRIES = 240;
/** How long after the due time a station begins, always the same. Pure. */
export const startOffset = (station: string, spreadMs: number): number =>
  spreadMs === 0 ? 0 : createHash('sha256').update(station).digest().readUInt32BE(0) % spreadMs;

/** Whether a run is due: a new one, or one of a clock that was far ahead when the last began. Pure. */
export const isDue = (last: number, due: number, now: number): boolean => due > last || last > now + DAY_MS;

/** Whether what waits may begin: its time has come, or was set by a clock that was far ahead. Pure. */
export const mayStart = (startAt: number, now: number): boolean => startAt <= now || startAt > now + DAY_MS;

/** Where the window of a station begins: behind the one before; a day before its end where there was none. Pure. */
export const windowFrom = (until: number | undefined, due: number): number =>
  until === undefined || until >= due ? due - DAY_MS : until + 1;

export function createCollection(deps: CollectionDeps) {
  const { rules, state, store, intake, directory, readGroups, now, log } = deps;
  const { end, failed, arrived } = createEndings({ state, log });

  const begin = async (last: number, due: number): Promise<void> => {
    const { labels, types, spreadMs } = rules;
    const configured = new Set(directory.configured());
    const groupsOf = await readGroups([...configured]);
    const isWanted = (station: string): boolean =>
      directory.profileOf(station) !== undefined && hasLabels(labels, groupsOf(station).labels);
    await state.forget((station) => configured.has(station));
    const until = await state.collectedUntil();
    const items = [...configured].filter(isWanted).flatMap((station) =>
      types.map((type): OpenItem => {
        const startAt = due + startOffset(station, spreadMs);
        return { station, type, due, from: windowFrom(until({ station, type }), due), startAt, tries: 0 };
      }),
    );
    if (await state.begin(last, due, items))
      log.info({ due: rfc3339(due), archives: items.length }, 'logs are being collected');
  };

  const again = (item: OpenItem, pauseMs: number): Promise<void> => {
    const { operationId: _operationId, ...rest } = item;
    return state.change({ ...rest, tries: item.tries + 1, startAt: now() + pauseMs });
  };

  /** Under the same key however often: a gateway that was killed in between has ordered it once. */
  const order = async (item: OpenItem): Promise<void> => {
    const { station, type, due, from, tries } = item;
    const request = {
      type,
      location: `s3://${rules.bucket}/${copyFolder(station)}`,
      oldest_timestamp: rfc3339(from),
      latest_timestamp: rfc3339(due),
    };
    const answer = await intake.uploadLogs(request, {
      station,
      origin: 'rest',
      caller: COLLECTOR,
      isPatient: true,
      answerKey: `rest:collection:${due}:${type}:${tries}`,
      answerTtlMs: DAY_MS,
    });
    const { operationId, reason = 'refused' } = answer;
    if (operationId !== undefined) {
      await intake.confirm(answer);
      return state.change({ ...item, operationId });
    }
    if (reason === 'slot_busy' || reason === 'slot_taken_by_everest')
      return tries < MOST_TRIES ? again(item, BUSY_MS) : failed(item, reason);
    if (!NOTHING_TO_COLLECT.includes(reason)) return failed(item, reason);
    log.debug({ station, type, reason }, 'no logs to collect');
    return end(item, 'skipped');
  };

  /** `true`: it is still under way. */
  const follow = async (item: OpenItem, operationId: string): Promise<boolean> => {
    const record = await store.load(operationId, 'log_upload');
    if (record && !isEnded(record)) return true;
    if (record?.state === 'Uploaded') await arrived(item, record.contents);
    else if (record?.state === 'Superseded' || record?.state === 'Canceled' || record?.state === 'Withdrawn')
      await (item.tries < MOST_TRIES && record.state !== 'Canceled' ? again(item, BUSY_MS) : failed(item, 'canceled'));
    else await failed(item, record?.outcome?.reason ?? 'forgotten');
    return false;
  };

  /** One look, by the gateway that leads. Rejects when the store does not answer, or no worker is there: all goes on with the next. */
  return async (signal: AbortSignal): Promise<void> => {
    const due = lastDailyMoment(rules.at, rules.timeZone, now());
    const last = await state.lastDue();
    // The first run is the next one: nobody expects last night's to begin at noon.
    if (last === undefined) await state.begin(undefined, due, []);
    else if (isDue(last, due, now())) await begin(last, due);
    const open = await state.open();
    let underWay = 0;
    for (const item of open) {
      if (signal.aborted) return;
      if (item.operationId !== undefined && (await follow(item, item.operationId))) underWay += 1;
    }
    const waiting = open.filter(({ operationId, startAt }) => operationId === undefined && mayStart(startAt, now()));
    for (const item of waiting.toSorted((a, b) => a.startAt - b.startAt)) {
      if (signal.aborted || underWay >= rules.atOnce) return;
      underWay += 1;
      await order(item);
    }
  };
}
