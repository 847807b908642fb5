/** How each fault is done. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Lane } from './lane.js';
import type { FaultName, Phase, PlannedFault } from './plan.js';
import { killHard } from './processes.js';
import type { UpdateState } from './record.js';
import type { Worker } from './worker.js';

export interface Scene {
  readonly lane: Lane;
  readonly operationId: string;
  /** Those that live. */
  readonly workers: () => readonly Worker[];
  /** Another one begins, from the record as it stands. */
  readonly addWorker: () => Promise<void>;
  readonly state: () => UpdateState;
  /** All is over: nothing more is waited for. */
  readonly isOver: () => boolean;
}

const LOOK_MS = 5;

/** The effect that began last, once there is one. */
async function effectOf({ lane, operationId, isOver }: Scene): Promise<string | undefined> {
  for (;;) {
    const effect = (await lane.effects(operationId)).at(-1);
    if (effect !== undefined || isOver()) return effect;
    await pause(LOOK_MS);
  }
}

async function killEffect(scene: Scene, parts: { runner: boolean; command: boolean }): Promise<void> {
  const effect = await effectOf(scene);
  if (effect === undefined) return;
  const { runner, commandGroup } = await scene.lane.processesOf(effect);
  if (parts.runner && runner !== undefined) killHard(runner);
  if (parts.command && commandGroup !== undefined) killHard(-commandGroup);
}

async function forAWhile({ forMs }: PlannedFault, begin: () => unknown, end: () => unknown): Promise<void> {
  await begin();
  await pause(forMs);
  await end();
}

const STRIKES: Readonly<Record<FaultName, (scene: Scene, fault: PlannedFault) => unknown>> = {
  async 'kill the worker'({ workers, addWorker }) {
    await workers()[0]?.kill();
    await addWorker();
  },
  async 'freeze the worker'({ workers, addWorker }, fault) {
    const [worker] = workers();
    if (!worker) return;
    await forAWhile(
      fault,
      () => {
        worker.freeze();
        return addWorker();
      },
      () => worker.thaw(),
    );
  },
  'another worker': ({ addWorker }) => addWorker(),
  'kill the sessions': ({ lane }) => lane.killSessions(false),
  'kill the sessions and their commands': ({ lane }) => lane.killSessions(true),
  'cut the connection': ({ lane }, { afterBytes }) => lane.proxy.cutAfter(afterBytes),
  'take connections and never answer': ({ lane: { proxy } }, fault) =>
    forAWhile(
      fault,
      () => {
        proxy.mute();
        proxy.cut();
      },
      async () => {
        await proxy.mend();
        // A worker that waits there would wait for the end of its patience.
        proxy.cut();
      },
    ),
  'let nothing pass': ({ lane: { proxy } }, fault) =>
    forAWhile(
      fault,
      () => proxy.hold(),
      () => proxy.mend(),
    ),
  'kill the service': ({ lane }) => lane.charger.killService?.(),
  'keep the service away': ({ lane }, { forMs }) => lane.charger.keepServiceAway?.(forMs),
  async 'kill the client'({ lane, isOver }) {
    while (!isOver() && lane.charger.killClient?.() === false) await pause(LOOK_MS);
  },
  'kill the process of the effect': (scene) => killEffect(scene, { runner: true, command: false }),
  'kill the command of the effect': (scene) => killEffect(scene, { runner: false, command: true }),
  'kill all of the effect': (scene) => killEffect(scene, { runner: true, command: true }),
  'fill the state folder': ({ lane: { stateDisk } }, fault) =>
    forAWhile(
      fault,
      () => stateDisk?.fill(0),
      () => stateDisk?.free(),
    ),
};

const ORDER: readonly UpdateState[] = ['Accepted', 'Installing', 'InstallRebooting'];

/** Resolves so long after the phase began, or when all is over. */
export async function awaitMoment(scene: Scene, phase: Phase, atMs: number): Promise<void> {
  if (phase === 'effect') await effectOf(scene);
  else while (!scene.isOver() && ORDER.indexOf(scene.state()) < ORDER.indexOf(phase)) await pause(LOOK_MS);
  if (!scene.isOver()) await pause(atMs);
}

export async function strike(scene: Scene, fault: PlannedFault): Promise<void> {
  await awaitMoment(scene, fault.phase, fault.atMs);
  if (!scene.isOver()) await STRIKES[fault.name](scene, fault);
}
