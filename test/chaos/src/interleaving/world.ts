/**
 * One schedule's world: one station, its charger, the records on a real Redis and the product's own code on top, where
 * every actor has hands of its own, as every process has.
 */

import { createBoots } from '@khumbu/intake/boots';
import { createIntake, type Intake } from '@khumbu/intake/intake';
import { type Moment, momentOf } from '@khumbu/operations/clock/depot-clock';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { createStore } from '@khumbu/operations/kinds/store';
import { createReconciler } from '@khumbu/operations/reconciler/reconciler';
import { keysFor } from '@khumbu/operations/records/keys';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { profileFrom, type SimulatedSettings, type StationProfile } from '@khumbu/shared/stations/stations-file';
import type { EffectStep } from '@khumbu/station-drivers/port';
import { type Charger, factoryCharger } from '@khumbu/station-drivers/simulated/charger';
import { chargerFolder, readCharger } from '@khumbu/station-drivers/simulated/charger-state';
import { endOf, settle } from '@khumbu/station-drivers/simulated/settle';
import { createSimulatedDriver } from '@khumbu/station-drivers/simulated/simulated-driver';
import type { Redis } from 'ioredis';
import { gateDriver, gateRedis, type Pass } from './gated.js';
import { createJobBoard } from './job-board.js';
import { createAliases, type Entry, readCommit, type Told } from './journal.js';
import { type Actor, createScheduler } from './scheduler.js';

export const STATION = 'cs-1';
/** A quiet morning; everything is counted from here. */
const START = Date.UTC(2026, 4, 4, 4);

export interface Image {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The two members of a signed request. */
  readonly signed: { readonly signing_certificate: string; readonly signature: string };
}

export interface WorldOptions {
  readonly redis: Redis;
  /** Of the chargers. */
  readonly dir: string;
  /** Of Redis keys and of the charger. */
  readonly name: string;
  readonly image: Image;
  readonly dialect: StationProfile['dialect'];
  /** Whether notifications of cancellations reach workers at once, or never: nothing may depend on it. */
  readonly notifications: 'prompt' | 'lost';
  readonly installMs: number;
  readonly rebootMs: number;
  readonly reservationMs: number;
  /** What goes wrong at the charger. */
  readonly fail?: SimulatedSettings['fail'];
  /** How many downloads fail before one succeeds. */
  readonly failedDownloads?: number;
  /** Every so many commits of a process that waits for Redis, the reply is lost and the commit is sent again. */
  readonly resendEvery?: number;
}

const log = createLogger('interleavings', 'silent');
const locations = createLocationPolicy({
  allowedSchemes: ['https', 'http', 's3'],
  allowedHosts: [],
  allowLoopback: false,
});

export function createWorld(options: WorldOptions) {
  const { redis, dir, name, image } = options;
  const scheduler = createScheduler(START);
  const { now } = scheduler;
  const moment = (): Moment => momentOf(now());
  const board = createJobBoard(now);
  const keys = keysFor(name);
  const aliasOf = createAliases();
  const journal: Entry[] = [];
  const records = new Map<string, OperationRecord>();
  const intakes: Intake[] = [];
  const listeners = new Set<(operationId: string) => void>();
  const { fail } = options;
  const settings = { install_ms: options.installMs, reboot_ms: options.rebootMs, ...(fail ? { fail } : {}) };
  const file = {
    stations: { [STATION]: { driver: 'simulated', dialect: options.dialect, simulated: settings } },
  } as const;
  const profile = profileFrom(file, STATION) as StationProfile;
  const profileOf = (station: string): StationProfile | undefined => (station === STATION ? profile : undefined);
  const directory = { profileOf, configured: () => [STATION], close: () => undefined };
  const folder = chargerFolder(`${dir}/${name}`, STATION);
  const at = (by: string) => ({ gate: scheduler.gatesPassed(), now: now(), by });

  let stored = factoryCharger(START);
  /** The charger as anybody would find it now. */
  const charger = (): Charger => settle(stored, now());
  const look = async (): Promise<void> => {
    stored = (await readCharger(folder))?.charger ?? stored;
  };

  let begunCount = 0;
  let sent = 0;
  const noteEffects = async (by: string): Promise<void> => {
    await look();
    const { events } = charger();
    const begun = events
      .map(({ text }) => /^charger: (install|reboot|restart) (\S+) began$/.exec(text))
      .filter((one) => one !== null);
    for (const [, step, operationId = ''] of begun.slice(begunCount))
      journal.push({
        ...at(by),
        kind: 'effect',
        step: step as EffectStep,
        operationId,
        record: records.get(operationId),
      });
    begunCount = begun.length;
  };

  const describeCommit = (json: string): string =>
    `commit ${readCommit(json)
      .records.map(({ id, state }) => `${aliasOf(id)}:${state}`)
      .join(' ')}`;

  const noteCommit = (by: string, json: string): void => {
    const { canceled, ...written } = readCommit(json);
    for (const record of written.records) records.set(record.id, record);
    journal.push({ ...at(by), kind: 'commit', ...written });
    if (options.notifications === 'prompt') for (const id of canceled) for (const hear of listeners) hear(id);
  };

  /** Statuses leave the outbox at the next look: EVerest is always there. */
  const outbox: Record<string, unknown>[] = [];
  const drainOutbox = async (): Promise<void> => {
    const list = keys.outbox(STATION);
    for (let entry = await redis.lpop(list); entry !== null; entry = await redis.lpop(list))
      outbox.push(JSON.parse(entry) as Record<string, unknown>);
  };

  const watched = (actor: Actor): Redis => {
    const pass: Pass = (label, act, gateOptions) =>
      scheduler.gate(
        actor,
        label,
        async () => {
          if (label.startsWith('lrange')) await drainOutbox();
          return act();
        },
        gateOptions,
      );
    const describe = (command: string, args: readonly unknown[]): string =>
      command === 'khumbuCommit' ? describeCommit(args[0] as string) : command;
    const gated = gateRedis(redis, pass, describe);
    return new Proxy(gated, {
      get(target, member) {
        if (member !== 'khumbuCommit') return Reflect.get(target, member) as unknown;
        return async (json: string): Promise<number> => {
          const send = () => redis.khumbuCommit(json);
          const done = await pass(describeCommit(json), async () => {
            const first = await send();
            if (first === 1) noteCommit(actor.name, json);
            return first;
          });
          const isPatient = /^(?:ota|control|reconciler|boots)/.test(actor.name);
          const { resendEvery } = options;
          if (!isPatient || done !== 1 || resendEvery === undefined || ++sent % resendEvery !== 0) return done;
          return pass('sent again', send);
        };
      },
    });
  };

  /** What one process does its work with. */
  const handsOf = (actor: Actor) => {
    const pass: Pass = (label, act, gateOptions) => scheduler.gate(actor, label, act, gateOptions);
    const connection = watched(actor);
    const store = createStore(connection, name);
    const jobs = board.port(pass);
    const notifications: Notifications = {
      on(kind, listener) {
        if (kind === 'cancel') listeners.add(listener);
        return () => listeners.delete(listener);
      },
      close: () => undefined,
    };
    const simulated = createSimulatedDriver({ station: STATION, settings, dataDir: `${dir}/${name}`, now });
    const driver = gateDriver(simulated, pass, now, () => noteEffects(actor.name));
    const intake = createIntake({
      store,
      redis: connection,
      jobs,
      profileOf,
      isInConflict: () => false,
      locations,
      judgeCertificate: async () => ({ ok: true }),
      resetReservationMs: options.reservationMs,
      redeliveryMs: 120_000,
      isAbandoned: () => false,
      log,
      now: moment,
    });
    intakes.push(intake);
    const rounds = { store, jobs, directory, log, now: moment };
    return {
      pass,
      redis: connection,
      store,
      jobs,
      notifications,
      driverOf: () => driver,
      intake,
      boots: createBoots(rounds),
      reconciler: createReconciler(rounds),
      tell: (told: Omit<Told, 'kind' | 'gate' | 'now' | 'by'>) =>
        void journal.push({ ...at(actor.name), kind: 'told', ...told }),
    };
  };

  return {
    options,
    scheduler,
    board,
    keys,
    journal,
    records,
    /** Statuses as EVerest received them. */
    outbox,
    drainOutbox,
    directory,
    image,
    locations,
    now,
    /** The same as the product has it: one clock that never jumps. */
    moment,
    log,
    aliasOf,
    handsOf,
    charger,
    /** Nothing of it goes on. */
    close() {
      for (const intake of intakes) intake.close();
      scheduler.close();
    },
    startsOfEverest: (): number => charger().everestStarts,
    /** When a restart that is under way is over. */
    nextStartAt: (): number | undefined => {
      const { effect } = charger();
      return effect && effect.step !== 'install' ? endOf(effect) : undefined;
    },
  };
}
export type World = ReturnType<typeof createWorld>;
export type Hands = ReturnType<World['handsOf']>;
