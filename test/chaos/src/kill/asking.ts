/** Ask a station's part of an act: through its EVerest, as its CSMS would. */
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { EverestModule } from '@khumbu/station-simulator/everest-module';
import { iso } from '@khumbu/test-support/dates';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage } from '@khumbu/test-support/firmware';
import type { Act, UpdateAct, UploadAct } from './acts.js';
import { bootsOf } from './evidence.js';
import type { Stage } from './stage.js';

/** What was asked, and the truth before it was. */
export interface Asked {
  readonly act: Act;
  readonly station: EverestModule;
  /** -1 for the plain update of OCPP 1.6 and for resets. */
  readonly requestId: number;
  /** Names what belongs to it, such as the folder of its archive. */
  readonly key: string;
  readonly imageSha256?: string;
  /** Statuses with a higher number belong to it. */
  readonly seqBefore: number;
  readonly violationsBefore: number;
  readonly bootsBefore: number;
  readonly startsBefore: number;
  readonly installsBefore: number;
  askedAt: number;
  /** The answer; `undefined`: none came, since EVerest ended meanwhile or there is no answer to wait for. */
  reply?: unknown;
  repliedAt?: number;
}

const UP_MS = 30_000;
const TRIES = { retries: 20, retry_interval_s: 1 } as const;

function updateRequest(stage: Stage, act: UpdateAct, requestId: number, key: string, strikeAt: number) {
  const image = makeImage(act.imageBytes, key);
  const behaviour = act.bytesPerSecond === undefined ? {} : { bytesPerSecond: act.bytesPerSecond };
  const request = {
    request_id: act.form === 'plain 1.6' ? -1 : requestId,
    location: stage.origin.serve(`/${key}.bin`, image.bytes, behaviour),
    ...TRIES,
    ...(act.form === 'signed' ? stage.signer.signed(image.bytes) : {}),
    ...(act.retrieveAt === undefined ? {} : { retrieve_timestamp: iso(strikeAt + act.retrieveAt) }),
    ...(act.installAt === undefined ? {} : { install_timestamp: iso(strikeAt + act.installAt) }),
  };
  return { request, sha256: image.sha256 };
}

function uploadRequest(stage: Stage, act: UploadAct, requestId: number, key: string) {
  if (act.to === 's3') {
    const workers = stage.depot.services.filter((name) => name.startsWith('log-worker'));
    for (const worker of workers) stage.depot.proxy(worker, 's3').slow(act.bytesPerSecond);
    return {
      request_id: requestId,
      type: 'DiagnosticsLog',
      location: `s3://${stage.depot.s3.bucket}/logs/${act.name}/${key}/`,
      ...TRIES,
    };
  }
  const location = stage.origin.receive(`/${key}/`, { bytesPerSecond: act.bytesPerSecond });
  return { request_id: requestId, type: 'DiagnosticsLog', location, ...TRIES };
}

export interface Prepared {
  readonly asked: Asked;
  /** Sends it at once; resolves with the answer, or without one when EVerest has ended. */
  readonly send: () => Promise<void>;
}

/** Make everything ready, so that sending it takes no time. For a reset its CSMS has asked whether it may. */
export async function prepare(stage: Stage, act: Act, strikeAt: number): Promise<Prepared> {
  const station = stage.station(act.name);
  await awaitUntil(() => station.up && station.registered, UP_MS, `${act.name} to be up`);
  const number = stage.nextRequestId();
  const key = `${act.name}-${number}`;
  const charger = await stage.depot.charger(act.name);
  const before = {
    act,
    station,
    requestId: act.kind === 'reset' || (act.kind === 'update' && act.form === 'plain 1.6') ? -1 : number,
    key,
    seqBefore: station.statuses.at(-1)?.seq ?? 0,
    violationsBefore: station.violations.length,
    bootsBefore: bootsOf(station),
    startsBefore: charger?.everestStarts ?? 1,
    installsBefore: charger?.installCount ?? 0,
    askedAt: Number.POSITIVE_INFINITY,
  };
  const { more, ask } = await asker(stage, act, before, strikeAt);
  const asked: Asked = { ...before, ...more };
  return {
    asked,
    async send() {
      asked.askedAt = Date.now();
      try {
        asked.reply = await ask();
        asked.repliedAt = Date.now();
      } catch (error) {
        if (!hasCode(error, 'STATION_DOWN')) throw error;
      }
    },
  };
}

interface Asker {
  readonly more?: Partial<Asked>;
  readonly ask: () => Promise<unknown>;
}

async function asker(stage: Stage, act: Act, asked: Asked, strikeAt: number): Promise<Asker> {
  const { station, requestId, key } = asked;
  switch (act.kind) {
    case 'update': {
      const { request, sha256 } = updateRequest(stage, act, requestId, key, strikeAt);
      return {
        more: { imageSha256: sha256 },
        async ask() {
          const { permitAt } = act;
          if (permitAt !== undefined) {
            station.peer.beginTransaction();
            void delay(Math.max(0, strikeAt + permitAt - Date.now())).then(() => station.peer.endTransaction());
          }
          return (await station.request('update_firmware', request)).reply;
        },
      };
    }
    case 'upload': {
      const request = uploadRequest(stage, act, requestId, key);
      return {
        ask: async () => {
          const { reply } = await station.request('upload_logs', request);
          return (reply as { upload_logs_status: string }).upload_logs_status;
        },
      };
    }
    case 'reset': {
      const mayReset = async (): Promise<boolean> =>
        (await station.request('is_reset_allowed', act.type)).reply === true;
      await awaitUntil(mayReset, UP_MS, `${act.name} to be allowed to reset`);
      return {
        // There is no answer to wait for.
        ask: async () => station.reset(act.type),
      };
    }
  }
}
