/** The workers and the reconciler as actors: the product's own loop and steps, one process each. */
import { dirname } from 'node:path';
import { verifySignature } from '@khumbu/firmware-trust/signature';
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import { createJobLoop, type JobLoopOptions } from '@khumbu/operations/jobs/job-loop';
import { createAnnounce } from '@khumbu/steps/firmware-update/announce';
import { createConfirm } from '@khumbu/steps/firmware-update/confirm';
import { createFetch } from '@khumbu/steps/firmware-update/fetch';
import { FetchError } from '@khumbu/steps/firmware-update/fetch-error';
import type { ImageChecks, ImageStore } from '@khumbu/steps/firmware-update/image-ports';
import { createInstall } from '@khumbu/steps/firmware-update/install';
import { createJoinFetch } from '@khumbu/steps/firmware-update/join-fetch';
import { createVerify } from '@khumbu/steps/firmware-update/verify';
import { createReset } from '@khumbu/steps/station/reset';
import type { Actor } from './scheduler.js';
import type { Hands, World } from './world.js';

const OTA_QUEUES: readonly QueueName[] = ['firmware-fetches', 'firmware-updates'];

/** Nothing keeps a download, and nothing is counted. */
const OPEN_GATE = {
  holdOf: async () => undefined,
  mustStop: async () => false,
  end: async () => undefined,
  noteFailure: async () => undefined,
};
const NO_METER = {
  begin: () => () => undefined,
  receivedOf: () => 0,
  broughtBefore: async () => 0,
  forgetBrought: async () => undefined,
};

function otaSteps(world: World, hands: Hands): JobLoopOptions['steps'] {
  const { image, directory } = world;
  const { store, jobs, notifications, driverOf } = hands;
  // The image is in the depot already: what is fetched is asked for, and there.
  const images: ImageStore = { keep: async () => undefined, has: async () => true, open: async () => image.path };
  const checks: ImageChecks = {
    remember: async () => undefined,
    verdict: (imagePath, question, signal) =>
      verifySignature({ ...question, sha256: image.sha256, scratchDir: dirname(imagePath), signal }),
    matches: async () => true,
    connectorsFlag: async () => undefined,
  };
  const deps = { store, jobs, directory, images, checks, driverOf, now: world.moment };
  let downloads = 0;
  const join = createJoinFetch(deps, () => [], world.locations, OPEN_GATE);
  const verify = createVerify(deps, true);
  const announce = createAnnounce(deps);
  const install = createInstall(deps);
  const confirm = createConfirm(deps);
  const fetch = createFetch({
    ...deps,
    notifications,
    download: (_location, _key, _known, signal) =>
      hands.pass('download', () => {
        signal.throwIfAborted();
        downloads += 1;
        if (downloads <= (world.options.failedDownloads ?? 0))
          throw new FetchError(true, 'cut', 'the connection was cut');
        return { kind: 'fetched' as const, ...image };
      }),
    listLeftParts: async () => async () => undefined,
    progress: () => () => undefined,
    // Nobody brings anything in, and nobody removes it.
    artifacts: {
      settled: async (sha256) => [sha256, ''],
      broughtFor: async () => undefined,
      find: async () => undefined,
    },
    ignored: () => [],
    gate: OPEN_GATE,
    meter: NO_METER,
    reuseUnaskedMs: 0,
    minBytes: 1,
    retries: { tries: 3, retryIntervalS: 1, maxRetryAfterS: 900 },
  });
  return {
    download: (record, context) => (record.state === 'Downloaded' ? verify(record, context) : join(record, context)),
    announce,
    install,
    confirm,
    fetch,
  };
}

/** Takes jobs as long as it lives, one at a time. */
function spawnWorker(
  world: World,
  name: string,
  queues: readonly QueueName[],
  stepsOf: (hands: Hands) => JobLoopOptions['steps'],
): Actor {
  const { board, log } = world;
  return world.scheduler.spawn(name, async (actor) => {
    const hands = world.handsOf(actor);
    const { store, jobs, pass, notifications } = hands;
    const work = createJobLoop({ steps: stepsOf(hands), store, jobs, log, now: world.moment });
    for (;;) {
      const taken = await pass('take job', () => board.take(queues, name), {
        opens: () => board.hasDue(queues),
        opensAt: () => board.nextDueAt(queues),
      });
      if (!taken) continue;
      const controller = new AbortController();
      const unsubscribe = notifications.on('cancel', (id) => {
        if (id === taken.job.operationId) controller.abort(new Error('canceled'));
      });
      const isOurs = async (): Promise<boolean> => {
        const held = (await pass('keep job', () => taken.isHeld())) && !controller.signal.aborted;
        if (!held) controller.abort(new Error('lock lost'));
        return held;
      };
      await work({ ...taken.job, isOurs }, controller.signal);
      unsubscribe();
      await pass('end job', () => taken.end());
    }
  });
}

export const spawnOtaWorker = (world: World, name: string): Actor =>
  spawnWorker(world, name, OTA_QUEUES, (hands) => otaSteps(world, hands));

export const spawnSystemControl = (world: World, name: string): Actor =>
  spawnWorker(world, name, ['system-control'], ({ store, driverOf }) => {
    return { reset: createReset({ store, directory: world.directory, driverOf, now: world.moment }) };
  });

/**
 * Makes a round after each of these times. A round looks only at what has been left alone for a while, so the time jumps;
 * with `isOver` it is waited for instead, until that holds.
 */
export const spawnReconciler = (
  world: World,
  name: string,
  afterMs: readonly number[],
  how: 'late' | { readonly isOver: () => Promise<boolean> },
): Actor =>
  world.scheduler.spawn(
    name,
    async (actor) => {
      const { reconciler, pass } = world.handsOf(actor);
      const { scheduler, now } = world;
      for (const ms of afterMs) {
        if (how === 'late') await pass(`${ms} ms later`, () => scheduler.advance(ms));
        else {
          const at = now() + ms;
          if (await pass(`${ms} ms later`, how.isOver, { opens: () => now() >= at, opensAt: () => at })) return;
        }
        await reconciler.round(new AbortController().signal);
      }
    },
    how === 'late' ? how : undefined,
  );
