/** Those that send requests, as actors: EVerest, a fleet tool, an operator, and what goes wrong. */
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { triggerStatus } from '@khumbu/operations/kinds/firmware-update/transition';
import { fallbackReply } from '@khumbu/shared/contract/channels';
import type { FirmwareUpdateRequest, ResetType } from '@khumbu/shared/contract/schemas';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { iso } from '@khumbu/test-support/dates';
import type { Actor, Rank } from './scheduler.js';
import { type Hands, STATION, type World } from './world.js';

/** As the gateway does: what lost a race or could not be stored is done again. */
async function retryUntilStored(act: () => Promise<unknown>): Promise<void> {
  for (let count = 1; ; count++) {
    try {
      await act();
      return;
    } catch (error) {
      if (count >= 30 || !hasCode(error, 'CONFLICT', 'NOT_STORED')) throw error;
    }
  }
}

export interface UpdateOrder {
  readonly requestId: number;
  /** The last part of the reply topic. The same one is the same request, delivered again. */
  readonly uuid?: string;
  readonly signed?: boolean;
  readonly origin?: 'everest' | 'rest';
  readonly replace?: boolean;
  readonly installAt?: number;
  readonly retrieveAt?: number;
  /** The decision comes so late that the default has gone out before it. */
  readonly late?: boolean;
}

const requestOf = (world: World, order: UpdateOrder): FirmwareUpdateRequest => ({
  request_id: order.requestId,
  location: 'https://files.example/image.bin',
  ...(order.signed ? world.image.signed : {}),
  ...(order.installAt === undefined ? {} : { install_timestamp: iso(order.installAt) }),
  ...(order.retrieveAt === undefined ? {} : { retrieve_timestamp: iso(order.retrieveAt) }),
});

async function askForUpdate(world: World, hands: Hands, order: UpdateOrder): Promise<void> {
  const { intake, pass, tell } = hands;
  const origin = order.origin ?? 'everest';
  const answerKey = `update_firmware:${order.uuid ?? `uuid-${order.requestId}`}`;
  const requester = { station: STATION, origin, answerKey, ...(order.replace ? { replace: true } : {}) };
  const answer = await intake.updateFirmware(requestOf(world, order), requester);
  const { reply, operationId } = answer;
  const named = operationId === undefined ? {} : { operationId };
  if (order.late) {
    const byDefault = fallbackReply('update_firmware');
    await pass('reply by default', () =>
      tell({ request: 'update_firmware', reply: byDefault, byDefault: true, ...named }),
    );
    return retryUntilStored(() => intake.revoke(requester, 'update_firmware', operationId));
  }
  await pass('reply', () => tell({ request: 'update_firmware', reply, ...named }));
  await retryUntilStored(() => intake.confirm(answer));
}

export const spawnUpdate = (world: World, name: string, order: UpdateOrder, rank?: Rank): Actor =>
  world.scheduler.spawn(name, (actor) => askForUpdate(world, world.handsOf(actor), order), rank);

/** Statuses that make EVerest take its connectors out of use, and then give the permission. */
const triggersIn = (world: World): number =>
  world.journal.reduce((count, entry) => {
    if (entry.kind !== 'commit') return count;
    const asks = entry.statuses.filter(({ operationId, payload }) => {
      const record = world.records.get(operationId) as FirmwareUpdateRecord;
      const { firmware_update_status: status } = payload as { firmware_update_status: string };
      return status === triggerStatus(record, world.options.dialect);
    });
    return count + asks.length;
  }, 0);

/** EVerest: gives the permission at every trigger, `times` over, and sends heartbeats from 0 after every start. */
export function spawnEverest(world: World, name: string, times: number): Actor {
  let answered = 0;
  return world.scheduler.spawn(name, async (actor) => {
    const { intake, pass, tell } = world.handsOf(actor);
    for (;;) {
      await pass('sees connectors free', () => undefined, { opens: () => triggersIn(world) > answered });
      answered += 1;
      for (let count = 0; count < times; count++) {
        await retryUntilStored(async () => {
          const used = await intake.allowInstallation(STATION, 'everest');
          tell({ request: 'allow', reply: used });
        });
      }
    }
  });
}

/** A permission that was not asked for, or one more. */
export const spawnAllow = (
  world: World,
  name: string,
  by: 'everest' | 'rest' = 'everest',
  rank: Rank = 'late',
): Actor =>
  world.scheduler.spawn(
    name,
    async (actor) => {
      const { intake, tell } = world.handsOf(actor);
      await retryUntilStored(async () =>
        tell({ request: 'allow', reply: await intake.allowInstallation(STATION, by) }),
      );
    },
    rank,
  );

/** EVerest starts anew after every reboot and restart of the charger, and sends heartbeats. */
export function spawnBoots(world: World, name: string, asksFirst: boolean): Actor {
  let starts = 1;
  return world.scheduler.spawn(name, async (actor) => {
    const hands = world.handsOf(actor);
    for (let boot = 1; ; boot++) {
      const ended = (): boolean => world.startsOfEverest() > starts;
      await hands.pass('EVerest starts', () => undefined, { opens: ended, opensAt: () => world.nextStartAt() });
      starts = world.startsOfEverest();
      await hearBoot(hands, asksFirst ? `boot-${boot}` : undefined);
    }
  });
}

/** The first sign of a boot is a heartbeat, or the question for its reason. */
async function hearBoot({ boots, intake, tell }: Hands, question: string | undefined): Promise<void> {
  if (question !== undefined) {
    const requester = { station: STATION, origin: 'everest' as const, answerKey: `get_boot_reason:${question}` };
    const { reply, begun } = await intake.getBootReason(requester, { silentMs: 5000, heartbeatPeriodMs: 1000 });
    tell({ request: 'boot', reply });
    if (!begun) await boots.notice(STATION, 5000);
  } else await boots.notice(STATION, 5000);
  await boots.settle(STATION);
}

/** EVerest alone restarts by itself: connectors are operative again. */
export const spawnRestart = (world: World, name: string, rank: Rank = 'late'): Actor =>
  world.scheduler.spawn(name, (actor) => hearBoot(world.handsOf(actor), undefined), rank);

/** The first or the newest update is canceled over REST. */
export const spawnCancel = (
  world: World,
  name: string,
  which: 'first' | 'newest' = 'newest',
  rank: Rank = 'late',
): Actor =>
  world.scheduler.spawn(
    name,
    async (actor) => {
      const { intake, pass, tell } = world.handsOf(actor);
      const wanted = (): string | undefined => {
        const ids = [...world.records.values()].filter(({ kind }) => kind === 'firmware_update').map(({ id }) => id);
        return which === 'first' ? ids[0] : ids.at(-1);
      };
      const id = await pass('finds the update', wanted, { opens: () => wanted() !== undefined });
      if (id === undefined) return;
      const { kind } = await intake.cancel(STATION, 'firmware_update', id);
      tell({ request: 'cancel', reply: kind, operationId: id });
    },
    rank,
  );

/** OCPP asks whether it may reset, and does, unless it gives up in between. */
export const spawnReset = (world: World, name: string, type: ResetType, resets: boolean, rank: Rank = 'late'): Actor =>
  world.scheduler.spawn(
    name,
    async (actor) => {
      const { intake, pass, tell } = world.handsOf(actor);
      const requester = { station: STATION, origin: 'everest' as const, answerKey: `is_reset_allowed:${name}` };
      const { reply } = await intake.isResetAllowed(requester, true);
      await pass('reply', () => tell({ request: 'is_reset_allowed', reply }));
      if (reply !== true || !resets) return;
      await retryUntilStored(async () => {
        const { operationId } = await intake.reset(
          { type, scheduled: false },
          { ...requester, answerKey: `reset:${name}` },
        );
        tell({ request: 'reset', reply: null, ...(operationId === undefined ? {} : { operationId }) });
      });
    },
    rank,
  );

/** OCPP asks whether it may reset, and the decision comes so late that the default has gone out before it. */
export const spawnLateReset = (world: World, name: string, rank: Rank = 'late'): Actor =>
  world.scheduler.spawn(
    name,
    async (actor) => {
      const { intake, pass, tell } = world.handsOf(actor);
      const channel = 'is_reset_allowed';
      const requester = { station: STATION, origin: 'everest' as const, answerKey: `${channel}:${name}` };
      await intake.isResetAllowed(requester, true);
      await pass('reply by default', () => tell({ request: channel, reply: fallbackReply(channel), byDefault: true }));
      await retryUntilStored(() => intake.revoke(requester, channel, undefined));
    },
    rank,
  );

/** An operator resets without asking. */
export const spawnToolReset = (world: World, name: string, type: ResetType, rank: Rank = 'late'): Actor =>
  world.scheduler.spawn(
    name,
    async (actor) => {
      const { intake, tell } = world.handsOf(actor);
      const requester = { station: STATION, origin: 'rest' as const, answerKey: `reset:${name}` };
      await retryUntilStored(async () => {
        const answer = await intake.reset({ type }, requester);
        await intake.confirm(answer);
        const { operationId } = answer;
        tell({ request: 'reset', reply: null, ...(operationId === undefined ? {} : { operationId }) });
      });
    },
    rank,
  );

/** Something befalls a worker: its job is given to another one although it goes on, or it dies. */
export const spawnFault = (
  world: World,
  name: string,
  victim: Actor,
  what: 'hand on' | 'kill' | 'freeze',
  rank: Rank = 'late',
): Actor =>
  world.scheduler.spawn(
    name,
    async (actor) => {
      const { pass } = world.handsOf(actor);
      await pass(`${what} ${victim.name}`, () => {
        if (what === 'kill') victim.dead = true;
        if (what === 'freeze') victim.frozen = true;
        world.board.handOn(victim.name);
      });
    },
    rank,
  );
