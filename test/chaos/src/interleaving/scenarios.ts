/** Small casts whose schedules are tried one after the other, and large ones drawn at random. */
import type { Random } from '../random.js';
import {
  spawnAllow,
  spawnBoots,
  spawnCancel,
  spawnEverest,
  spawnFault,
  spawnLateReset,
  spawnReset,
  spawnRestart,
  spawnToolReset,
  spawnUpdate,
} from './actors.js';
import type { Scenario } from './schedule.js';
import type { Actor } from './scheduler.js';
import { spawnOtaWorker, spawnReconciler, spawnSystemControl } from './workers.js';
import type { World } from './world.js';

/** An update that nothing but the others in the cast keeps from its end. */
function life(world: World, permissions = 1): { ask: Actor; worker: Actor } {
  const ask = spawnUpdate(world, 'ask', { requestId: 1 });
  const worker = spawnOtaWorker(world, 'ota-1');
  spawnEverest(world, 'everest', permissions);
  spawnBoots(world, 'boots', false);
  return { ask, worker };
}

const mustInstall = (world: World): string[] =>
  [...world.records.values()]
    .filter((record) => record.kind === 'firmware_update' && record.state !== 'Installed')
    .map(({ id, state }) => `${world.aliasOf(id)} should be Installed and is ${state}`);

export const SMALL: readonly Scenario[] = [
  { name: 'an update alone, permission twice', cast: (world) => void life(world, 2), judge: mustInstall },
  {
    name: 'canceled',
    cast(world) {
      life(world);
      spawnCancel(world, 'cancel');
    },
  },
  {
    name: 'superseded',
    cast(world) {
      life(world);
      spawnUpdate(world, 'again', { requestId: 2 }, 'late');
    },
  },
  {
    name: 'superseded, by a request that is answered by default',
    cast(world) {
      life(world);
      spawnUpdate(world, 'again', { requestId: 2, late: true }, 'late');
    },
    judge: (world) =>
      [...world.records.values()]
        .filter((record) => record.kind === 'firmware_update' && !['Installed', 'Withdrawn'].includes(record.state))
        .map(({ id, state }) => `${world.aliasOf(id)} should go on and is ${state}`),
  },
  {
    name: 'replaced over REST',
    options: { dialect: 'ocpp2.x' },
    cast(world) {
      life(world);
      spawnUpdate(world, 'tool', { requestId: -1, origin: 'rest', replace: true }, 'late');
    },
  },
  {
    name: 'two workers with one job',
    cast(world) {
      const { worker } = life(world);
      spawnOtaWorker(world, 'ota-2');
      spawnFault(world, 'lock', worker, 'hand on');
    },
    judge: mustInstall,
  },
  {
    name: 'a worker killed',
    cast(world) {
      const { worker } = life(world);
      spawnOtaWorker(world, 'ota-2');
      spawnFault(world, 'killer', worker, 'kill');
    },
    judge: mustInstall,
  },
  {
    name: 'a worker frozen until all is over',
    cast(world) {
      const { worker } = life(world);
      spawnFault(world, 'freezer', worker, 'freeze');
      spawnReconciler(world, 'reconciler', [8 * 24 * 3600_000], 'late');
    },
  },
  {
    name: 'a reset whose worker is frozen until all is over',
    cast(world) {
      const control = spawnSystemControl(world, 'control');
      life(world);
      spawnReset(world, 'reset', 'Hard', true, 'first');
      spawnFault(world, 'freezer', control, 'freeze');
      spawnReconciler(world, 'reconciler', [4 * 3600_000], 'late');
    },
  },
  {
    name: 'a reset allowed and done',
    cast(world) {
      life(world);
      spawnSystemControl(world, 'control');
      spawnReset(world, 'reset', 'Soft', true);
    },
    judge: mustInstall,
  },
  {
    name: 'a reset asked for before the update, and done',
    cast(world) {
      spawnReset(world, 'reset', 'Hard', true, 'first');
      life(world);
      spawnSystemControl(world, 'control');
    },
    judge: mustInstall,
  },
  {
    name: 'a reset asked for before the update, and given up',
    cast(world) {
      spawnReset(world, 'reset', 'Hard', false, 'first');
      life(world);
    },
    judge: mustInstall,
  },
  {
    name: 'a permission that comes early',
    cast(world) {
      spawnAllow(world, 'early', 'everest', 'first');
      life(world);
    },
    judge: mustInstall,
  },
  {
    name: 'a reset allowed and given up',
    cast(world) {
      life(world);
      spawnReset(world, 'reset', 'Hard', false);
    },
    judge: mustInstall,
  },
  {
    name: 'a reset asked for while EVerest restarts, and given up',
    cast(world) {
      spawnReset(world, 'reset', 'Hard', false, 'first');
      life(world);
      spawnRestart(world, 'restart');
    },
    judge: mustInstall,
  },
  {
    name: 'a reset asked for twice, once answered by default, and given up',
    cast(world) {
      spawnReset(world, 'reset', 'Hard', false, 'first');
      spawnLateReset(world, 'again', 'first');
      life(world);
    },
    judge: mustInstall,
  },
  {
    name: 'an operator resets while EVerest is allowed to',
    options: { reservationMs: 60_000 },
    cast(world) {
      spawnReset(world, 'reset', 'Hard', false, 'first');
      spawnToolReset(world, 'operator', 'Soft', 'first');
      life(world);
      spawnSystemControl(world, 'control');
    },
    judge: mustInstall,
  },
  {
    name: 'EVerest restarts',
    cast(world) {
      life(world);
      spawnRestart(world, 'restart');
    },
    judge: mustInstall,
  },
  {
    name: 'the intake killed, the request delivered again',
    cast(world) {
      const { ask } = life(world);
      spawnFault(world, 'killer', ask, 'kill');
      spawnUpdate(world, 'redelivery', { requestId: 1 }, 'late');
    },
    judge: mustInstall,
  },
  {
    name: 'the reconciler at any time',
    cast(world) {
      life(world);
      spawnReconciler(world, 'reconciler', [2000, 2000], 'late');
    },
    judge: mustInstall,
  },
];

/** Everybody who may be there, each by chance. */
export function draw(random: Random): Scenario {
  const parts: ((world: World) => void)[] = [];
  const names: string[] = [];
  const add = (name: string, probability: number, part: (world: World) => void): void => {
    if (!random.chance(probability)) return;
    names.push(name);
    parts.push(part);
  };
  const signed = random.chance(0.3);
  const later = random.chance(0.15) ? random.between(50, 5000) : undefined;
  const dialect = random.pick(['ocpp1.6', 'ocpp2.x', 'unknown'] as const);
  const fail = random.chance(0.15)
    ? { fail: { install: random.pick(['failed', 'verification_failed', 'fallback'] as const) } }
    : {};
  const options = {
    dialect,
    notifications: random.pick(['prompt', 'lost'] as const),
    installMs: random.pick([0, 20, 60]),
    rebootMs: random.pick([0, 20, 60]),
    reservationMs: random.pick([200, 3000]),
    failedDownloads: random.chance(0.15) ? random.between(1, 6) : 0,
    ...(random.chance(0.2) ? { resendEvery: random.between(1, 4) } : {}),
    ...fail,
  };
  const type = random.pick(['Soft', 'Hard', 'NotSpecified'] as const);
  const times = random.between(1, 2);
  const asksFirst = random.chance(0.5);
  add('second request', 0.5, (world) =>
    spawnUpdate(world, 'second', { requestId: 2, signed: random.chance(0.3) }, 'late'),
  );
  add('late request', 0.2, (world) => spawnUpdate(world, 'late', { requestId: 3, late: true }, 'late'));
  add('tool', 0.25, (world) =>
    spawnUpdate(world, 'tool', { requestId: -1, origin: 'rest', replace: random.chance(0.7) }, 'late'),
  );
  add('redelivery', 0.2, (world) => spawnUpdate(world, 'redelivery', { requestId: 1, signed }, 'late'));
  add('cancel', 0.4, (world) => spawnCancel(world, 'cancel', random.pick(['first', 'newest'] as const)));
  add('early permission', 0.3, (world) => spawnAllow(world, 'early'));
  add('operator', 0.2, (world) => spawnAllow(world, 'operator', 'rest'));
  add('reset', 0.35, (world) => spawnReset(world, 'reset', type, true));
  add('operator resets', 0.1, (world) => spawnToolReset(world, 'operator-reset', type));
  add('reset given up', 0.2, (world) => spawnReset(world, 'no-reset', type, false));
  add('restart', 0.25, (world) => spawnRestart(world, 'restart'));
  add('reconciler', 0.4, (world) => spawnReconciler(world, 'reconciler', [2000, 3000], 'late'));
  add('deadline', 0.15, (world) => spawnReconciler(world, 'deadline', [8 * 24 * 3600_000], 'late'));
  const victims = ['ota-1', 'ota-2', 'control', 'ask', 'second', 'tool', 'late', 'reconciler', 'boots', 'reset'];
  const fault = (name: string, what: 'hand on' | 'kill' | 'freeze', probability: number): void => {
    const victimName = random.pick(victims);
    add(`${what} ${victimName}`, probability, (world) => {
      const victim = world.scheduler.actors.find((actor) => actor.name === victimName);
      if (victim) spawnFault(world, name, victim, what);
    });
  };
  fault('lock', 'hand on', 0.4);
  fault('killer', 'kill', 0.25);
  fault('freezer', 'freeze', 0.25);
  add('reset answered by default', 0.15, (world) => spawnLateReset(world, 'late-reset'));
  return {
    name: names.join(', '),
    options,
    cast(world) {
      const time =
        later === undefined
          ? {}
          : random.chance(0.5)
            ? { installAt: world.now() + later }
            : { retrieveAt: world.now() + later };
      spawnUpdate(world, 'ask', { requestId: random.chance(0.2) ? -1 : 1, signed, uuid: 'uuid-1', ...time });
      spawnOtaWorker(world, 'ota-1');
      spawnOtaWorker(world, 'ota-2');
      spawnSystemControl(world, 'control');
      spawnEverest(world, 'everest', times);
      spawnBoots(world, 'boots', asksFirst);
      for (const part of parts) part(world);
    },
  };
}
