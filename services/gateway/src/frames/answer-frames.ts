/** The side of the leader: what it has taken down of a station, without secrets, for the gateway that asks. */
import { redactionKey } from '@khumbu/operations/files/redaction-key';
import type { Keys } from '@khumbu/operations/records/keys';
import type { MqttFramesView, MqttFrameView } from '@khumbu/rest-contract/mqtt-frames';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import type { Redis } from 'ioredis';
import type { EventLoopTurn } from '../http/event-loop-turn.js';
import type { Standing } from '../leader/standing.js';
import type { FrameRecorder } from './frame-recorder.js';
import { shownFrame } from './shown-frame.js';

export interface AnswerFramesDeps {
  readonly recorder: Pick<FrameRecorder, 'of'>;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly standing: () => Standing;
  readonly eventLoopTurn: EventLoopTurn;
  readonly log: Logger;
}

/** Takes the subject of a notification: ID STATION. */
export type AnswerFrames = (question: string) => void;

export function createAnswerFrames(deps: AnswerFramesDeps): AnswerFrames {
  const { recorder, redis, keys, standing, eventLoopTurn, log } = deps;

  const view = async (stationId: string): Promise<MqttFramesView> => {
    const { since, frames } = recorder.of(stationId);
    // The rules of logs are large, and most depots never ask.
    const { createRedactor } = await import('@khumbu/log-redaction/redactor');
    const redactor = createRedactor({ rules: REDACTION_RULES, key: await redactionKey(redis, keys) });
    const shown: MqttFrameView[] = [];
    for (const frame of frames) {
      await eventLoopTurn();
      shown.push(shownFrame(frame, redactor.line));
    }
    return { stationId, since: rfc3339(since), frames: shown };
  };

  return (question) => {
    if (standing() !== 'leading') return;
    const space = question.indexOf(' ');
    const [id, station] = [question.slice(0, space), question.slice(space + 1)];
    const answer = async (): Promise<unknown> =>
      redis.publish(keys.mqttFrames(id), JSON.stringify(await view(station)));
    answer().catch((error: unknown) =>
      log.warn({ station, reason: describeError(error) }, 'MQTT frames could not be told'),
    );
  };
}
