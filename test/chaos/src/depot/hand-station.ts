/**
 * A station led by hand: a plain MQTT client that behaves as EVerest, whose heartbeats, absences and restarts are decided
 * by the experiment. What it received over all its lives is kept in one list.
 */

import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import {
  type EverestClient,
  type M2eMessage,
  readStatus,
  startEverestClient,
} from '@khumbu/test-support/everest-client';
import type { Cleanup } from './cleanup.js';
import type { Depot } from './depot.js';

const BEAT_MS = 250;
const WATCH_MS = 50;

export interface HandStation {
  readonly name: string;
  /** Connect, and answer discovery. Rejects if it is there already. */
  arrive(): Promise<void>;
  /** The client of the present life. Throws while it is away. */
  readonly client: EverestClient;
  /** One heartbeat with exactly these bytes. */
  beat(id: number | string): Promise<void>;
  /** Heartbeats from `firstId` (0) on, 4 a second. After a reboot of its charger they begin anew by themselves. */
  beatOn(firstId?: number): void;
  /** No more heartbeats; it stays connected. */
  silence(): void;
  /** Leave the broker without a word. Safe to repeat. */
  vanish(): Promise<void>;
  /** Ask for an update; resolves with the answer, which is a decision. */
  update(requestId: number, request: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Statuses of a request over all lives, in order. */
  heard(requestId: number): readonly string[];
  /** Every message over all lives, in order. */
  everything(): readonly M2eMessage[];
  /** Resolves when the status has come so many times (1) over all lives. */
  awaitHeard(requestId: number, status: string, deadlineMs: number, times?: number): Promise<void>;
  /** Give permission each time the trigger arrives, from now on. */
  allowAlways(trigger: string): void;
}

/** `toldPeriodMs`: the heartbeat period it announces; three times as long without a heartbeat, and it counts as away. */
export function createHandStation(cleanup: Cleanup, depot: Depot, name: string, toldPeriodMs = BEAT_MS): HandStation {
  const lives: EverestClient[] = [];
  let present: EverestClient | undefined;
  let beating: NodeJS.Timeout | undefined;
  let watching: NodeJS.Timeout | undefined;
  let nextId = 0;
  let starts: number | undefined;
  let trigger: string | undefined;
  let allowed = 0;

  const client = (): EverestClient => {
    if (!present) throw new Error(`${name} is away`);
    return present;
  };
  const silence = (): void => {
    clearInterval(beating);
    beating = undefined;
  };
  async function vanish(): Promise<void> {
    silence();
    clearInterval(watching);
    const leaving = present;
    present = undefined;
    await leaving?.close(true);
  }
  cleanup.teardown(vanish);

  const messages = () => lives.flatMap((life) => life.messages.items);
  const allow = async (): Promise<void> => {
    if (!trigger || !present) return;
    const triggers = messages().filter((message) => readStatus(message)?.status === trigger).length;
    if (triggers <= allowed) return;
    allowed = triggers;
    await present.allowInstallation();
  };
  const beat = async (id: number | string): Promise<void> => client().publishRaw('heartbeat', String(id));
  // A beat that fails because the station left in the same instant is no beat.
  const quietly = (work: Promise<unknown>): void => void work.catch(() => undefined);

  /** EVerest ends and starts with its charger. */
  const follow = async (): Promise<void> => {
    const now = (await depot.charger(name))?.everestStarts;
    if (starts !== undefined && now !== undefined && now > starts && beating) nextId = 0;
    starts = now ?? starts;
  };

  const station: HandStation = {
    name,
    async arrive() {
      if (present) throw new Error(`${name} is there already`);
      starts = undefined;
      const discovery = {
        heartbeat_period_ms: toldPeriodMs,
        communication_check_period_s: 5,
        request_reply_timeout_s: 30,
      };
      present = await startEverestClient({ mqttUrl: depot.mqttUrl, moduleId: name, discovery });
      lives.push(present);
      watching = setInterval(() => {
        quietly(follow());
        quietly(allow());
      }, WATCH_MS);
    },
    get client() {
      return client();
    },
    beat,
    beatOn(firstId = 0) {
      silence();
      nextId = firstId;
      quietly(beat(nextId++));
      beating = setInterval(() => quietly(beat(nextId++)), BEAT_MS);
    },
    silence,
    vanish,
    async update(requestId, request) {
      const asked = { request_id: requestId, ...request };
      return (await askUntilDecided('update_firmware', () => client().request('update_firmware', asked))).reply;
    },
    everything: messages,
    heard: (requestId) =>
      messages().flatMap((message) => {
        const status = readStatus(message);
        return status?.requestId === requestId ? [status.status] : [];
      }),
    async awaitHeard(requestId, status, deadlineMs, times = 1) {
      await awaitUntil(
        () => station.heard(requestId).filter((one) => one === status).length >= times,
        deadlineMs,
        () => `${name} to hear ${status} ${times} times; it heard ${station.heard(requestId).join(' ')}`,
      );
    },
    allowAlways(on) {
      trigger = on;
      allowed = messages().filter((message) => readStatus(message)?.status === trigger).length;
    },
  };
  return station;
}
