/**
 * Every request EVerest can make, in its exact frame at QoS 2, from a plain client; and what has come of it: on the bus,
 * at the origin and at the charger.
 */

import { randomUUID } from 'node:crypto';
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { type EverestClient, type M2eMessage, readStatus } from '@khumbu/test-support/everest-client';
import { makeImage } from '@khumbu/test-support/firmware';
import type { Origin } from '@khumbu/test-support/origin';
import { UNSIGNED, withoutRepeats } from '@khumbu/test-support/statuses';
import type { Depot } from '../depot/depot.js';

const IMAGE_BYTES = 20_000;
/** Hours apart, so that a clock tells which time it was set to. */
const TIME_STEP_MS = 3600_000;

export interface World {
  readonly depot: Depot;
  readonly origin: Origin;
  /** Counts requests: every one has its own id, location and time. */
  readonly next: () => number;
}

export interface Asked {
  readonly station: EverestClient;
  readonly name: RequestChannelName;
  readonly requestId: number;
  readonly sentAt: number;
  /** The same frame once more, as a redelivery has it. */
  again(): Promise<void>;
  answers(): { readonly text: string; readonly ms: number }[];
  isDefault(): boolean;
  /** Something has begun for it: each item names what was seen. */
  effects(): Promise<string[]>;
  /** What a request that was not answered by default must have come to, after `settled`; what is wrong with it. */
  faults(): Promise<string[]>;
  /** Resolves when an accepted request has come to its end; rejects when it does not. */
  settled(deadlineMs: number): Promise<void>;
}

interface Doing {
  readonly payload: unknown;
  readonly effects: () => Promise<string[]>;
  /** The last status of one that went well, and what must then have been done. */
  readonly end?: { readonly status: string; readonly effects: readonly string[] };
}

const heard = (station: EverestClient, requestId: number): string[] => withoutRepeats(station.statusNames(requestId));

const networkStatuses = (station: EverestClient, requestId: number): string[] =>
  station.messages.items.flatMap(({ leaf, json }) => {
    const body = json as { request_id?: number; status?: string } | undefined;
    return leaf === 'configure_network_status' && body?.request_id === requestId ? [String(body.status)] : [];
  });

type Replies = Map<string, M2eMessage[]>;
const read = new WeakMap<EverestClient, { count: number; readonly replies: Replies }>();

/** By their topic. Every message is looked at once: thousands of requests are asked for again and again. */
function repliesTo(station: EverestClient): Replies {
  const known = read.get(station) ?? { count: 0, replies: new Map<string, M2eMessage[]>() };
  read.set(station, known);
  const { items } = station.messages;
  for (; known.count < items.length; known.count += 1) {
    const message = items[known.count] as M2eMessage;
    if (!message.leaf.startsWith('reply/')) continue;
    known.replies.set(message.leaf, [...(known.replies.get(message.leaf) ?? []), message]);
  }
  return known.replies;
}

/** The questions of each station for its boot reason. */
const bootQuestions = new WeakMap<EverestClient, Asked[]>();

/**
 * EVerest allows an installation in answer to the status that asks for it. These stations have no heartbeats: one has started
 * anew, as far as anybody can know, when it asks for its boot reason, and a permission from before does not count then. So the
 * same status may come again, as often as the station may have started since the update was asked for, and is answered again.
 */
async function allowWhenAsked({ station, requestId, sentAt }: Asked, end: string, deadlineMs: number): Promise<void> {
  const told = (wanted: string): number => station.statusNames(requestId).filter((status) => status === wanted).length;
  const mayBeLater = (question: Asked): boolean => question.answers().every(({ ms }) => question.sentAt + ms >= sentAt);
  const what = `${end}, or Downloaded, of update_firmware ${requestId} at ${station.moduleId}`;
  let answered = 0;
  for (let permissions = 0; told(end) === 0; permissions += 1) {
    const starts = (bootQuestions.get(station) ?? []).filter(mayBeLater).length;
    const mayAsk = permissions <= starts;
    await station.messages.awaitAll(() => told(end) > 0 || (mayAsk && told('Downloaded') > answered), deadlineMs, what);
    if (told(end) > 0) return;
    answered = told('Downloaded');
    await station.allowInstallation();
  }
}

type Row = (world: World, station: EverestClient, requestId: number) => Doing;

/** A channel without a row does not compile. */
const ROWS: Readonly<Record<RequestChannelName, Row>> = {
  update_firmware({ depot, origin }, station, requestId) {
    const path = `/image-${requestId}`;
    const image = makeImage(IMAGE_BYTES, path);
    return {
      payload: { request_id: requestId, location: origin.serve(path, image.bytes) },
      async effects() {
        const charger = await depot.charger(station.moduleId);
        const installs = charger?.installs.filter(({ sha256 }) => sha256 === image.sha256).length ?? 0;
        const fetched = origin.stats(path).gets > 0 ? ['fetched'] : [];
        return [...heard(station, requestId), ...fetched, ...Array<string>(installs).fill('installed')];
      },
      end: {
        status: 'Installed',
        effects: [...UNSIGNED, 'fetched', 'installed'],
      },
    };
  },
  upload_logs({ origin }, station, requestId) {
    const path = `/logs-${requestId}`;
    return {
      payload: { request_id: requestId, type: 'DiagnosticsLog', location: origin.receive(path) },
      async effects() {
        // Not those of request 60 for request 6.
        const isOurs = (upload: { path: string }): boolean =>
          upload.path.startsWith(path) && !/^\d/.test(upload.path.slice(path.length));
        const stored = origin.uploads.items.filter((upload) => isOurs(upload) && upload.status < 300);
        // A PUT whose answer was lost is made again: the same name, the same archive.
        const names = new Set(stored.map(({ url }) => url));
        return [...heard(station, requestId), ...Array.from(names, () => 'stored')];
      },
      end: { status: 'Uploaded', effects: ['Uploading', 'Uploaded', 'stored'] },
    };
  },
  configure_network(_world, station, requestId) {
    return {
      payload: { request_id: requestId, interface: 'Any' },
      effects: async () => withoutRepeats(networkStatuses(station, requestId)),
      end: { status: 'Ready', effects: ['Ready'] },
    };
  },
  set_system_time({ depot }, station, requestId) {
    const aheadMs = requestId * TIME_STEP_MS;
    return {
      payload: new Date(Date.now() + aheadMs).toISOString(),
      async effects() {
        const offset = (await depot.charger(station.moduleId))?.clockOffsetMs ?? 0;
        return Math.abs(offset - aheadMs) < TIME_STEP_MS / 2 ? ['clock set'] : [];
      },
    };
  },
  is_reset_allowed: () => ({ payload: 'Hard', effects: async () => [] }),
  get_boot_reason: () => ({ payload: undefined, effects: async () => [] }),
};

export const REQUEST_NAMES = Object.keys(ROWS) as RequestChannelName[];

export function ask(world: World, station: EverestClient, name: RequestChannelName): Asked {
  const requestId = world.next();
  const uuid = randomUUID();
  const { payload, effects, end } = ROWS[name](world, station, requestId);
  const frame = requestFrame(`everest_api/1/system/${station.moduleId}/m2e/reply/${uuid}`, payload);
  const sentAt = performance.now();
  const again = (): Promise<void> => station.publishRaw(name, frame);
  const fallback = JSON.stringify(fallbackReply(name));
  const answers = (): { text: string; ms: number }[] =>
    (repliesTo(station).get(`reply/${uuid}`) ?? []).map(({ json, atMs }) => ({
      text: JSON.stringify(json),
      ms: atMs - sentAt,
    }));
  void again();
  const asked: Asked = {
    station,
    name,
    requestId,
    sentAt,
    again,
    answers,
    isDefault: () => answers()[0]?.text === fallback,
    effects,
    async faults() {
      const seen = await effects();
      if (!end || seen.join() === end.effects.join()) return [];
      return [`${name} ${requestId} was answered ${answers()[0]?.text}, and ${seen.join(' ') || 'nothing'} came of it`];
    },
    async settled(deadlineMs) {
      if (!end) return;
      const ofThis = (leaf: string, json: unknown): string | undefined =>
        (json as { request_id?: number } | undefined)?.request_id === requestId
          ? leaf === 'configure_network_status'
            ? String((json as { status?: string }).status)
            : readStatus({ leaf, json, text: '', retain: false, atMs: 0 })?.status
          : undefined;
      const hear = (status: string): Promise<unknown> =>
        station.messages.awaitItem(
          ({ leaf, json }) => ofThis(leaf, json) === status,
          deadlineMs,
          `${status} of ${name} ${requestId} at ${station.moduleId}`,
        );
      if (name === 'update_firmware') await allowWhenAsked(asked, end.status, deadlineMs);
      await hear(end.status);
    },
  };
  if (name === 'get_boot_reason') bootQuestions.set(station, [...(bootQuestions.get(station) ?? []), asked]);
  return asked;
}
