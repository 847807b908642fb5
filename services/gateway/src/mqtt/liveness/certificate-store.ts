/**
 * Asks the certificate store of a station's EVerest, where the stations file names its `evse_security_consumer_API`: at the wish
 * of a worker, who judges an update by it. Of an answer its status alone is kept: beside it stand names of files, and where a
 * key is encrypted the password of the key.
 */
import { randomUUID } from 'node:crypto';
import type { LeafAnswers } from '@khumbu/operations/kinds/firmware-update/certificates';
import { type CertificateStoreAnswers, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { mismatch } from '@khumbu/shared/contract/codec';
import { LeafCertificateAnswer } from '@khumbu/shared/contract/schemas';
import { type CertificateLeaf, DISCOVERY, EVSE_SECURITY } from '@khumbu/shared/contract/topics';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import { MAY } from '../../leader/standing.js';
import type { Core } from '../core.js';

/** EVerest answers within some milliseconds; workers wait a little longer than this. */
const ANSWER_MS = 4000;
/** Questions of workers at once: more than updates that any depot installs at once. */
const MOST_AT_ONCE = 256;
/** The longest word of the contract is shorter. */
const MAX_STATUS_LENGTH = 64;

type Deps = Pick<Core, 'prefix' | 'publish' | 'store' | 'standing' | 'now' | 'limitedLog' | 'log'> & {
  readonly directory: Pick<StationDirectory, 'profileOf' | 'configured'>;
};

interface Question {
  readonly station: string;
  readonly answer: (status: string) => void;
}

export type CertificateStore = ReturnType<typeof createCertificateStore>;

/** The status in an answer; `undefined`: it is none. Pure. */
export function readLeafAnswer(payload: Uint8Array): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    return undefined;
  }
  if (mismatch(LeafCertificateAnswer, value)) return undefined;
  return (value as LeafCertificateAnswer).status.slice(0, MAX_STATUS_LENGTH);
}

/** `over`: the session has ended. */
export function createCertificateStore(deps: Deps, over: AbortSignal) {
  const { prefix, publish, store, standing, directory, now, limitedLog, log } = deps;
  /** By the last level of their answer topics, which cannot be guessed. */
  const questions = new Map<string, Question>();

  /** Resolves with the status; `undefined`: no answer in time. */
  const askFor = (station: string, moduleId: string, leaf: CertificateLeaf): Promise<string | undefined> =>
    new Promise((resolve) => {
      const id = `certificate-${randomUUID()}`;
      let withdraw = (): void => undefined;
      const end = (status?: string): void => {
        clearTimeout(timer);
        withdraw();
        questions.delete(id);
        resolve(status);
      };
      const timer = setTimeout(() => end(), ANSWER_MS);
      questions.set(id, { station, answer: end });
      withdraw = onAbort(over, () => end());
      const question = {
        headers: { replyTo: DISCOVERY.answerTopic(id) },
        payload: { certificate_type: leaf, encoding: 'PEM', include_ocsp: false },
      };
      publish(EVSE_SECURITY.leafTopic(prefix, station, moduleId), JSON.stringify(question), 1).catch(
        (error: unknown) => {
          if (!hasCode(error, 'MQTT_CLOSED'))
            log.debug({ station, reason: describeError(error) }, 'the certificate store was not asked');
          end();
        },
      );
    });

  /** Behind one prefix for all a module id is the only address: of two stations with one id any might answer. */
  const isAmbiguous = (station: string, moduleId: string): boolean =>
    !prefix.perStation &&
    directory
      .configured()
      .some((other) => other !== station && directory.profileOf(other)?.certificateStore?.moduleId === moduleId);

  const ask = async (station: string, question: string): Promise<void> => {
    const asked = directory.profileOf(station)?.certificateStore;
    if (!asked || !MAY[standing()].publish || questions.size >= MOST_AT_ONCE) return;
    const { leaves, moduleId } = asked;
    if (isAmbiguous(station, moduleId)) {
      limitedLog.warn({ station, moduleId }, 'another station has the same evse_security.module_id: neither is asked');
      // The worker that asks does not wait for an answer then.
      await store.commit(
        store.transaction().setStation(station, { [STATION_FIELDS.certificateStoreUnasked]: question }),
      );
      return;
    }
    const statuses = await Promise.all(leaves.map((leaf) => askFor(station, moduleId, leaf)));
    // Of a session that ended meanwhile silence says nothing: the worker asks the next one.
    if (over.aborted || !MAY[standing()].store) return;
    const answers: LeafAnswers = Object.fromEntries(
      leaves.flatMap((leaf, index) => (statuses[index] === undefined ? [] : [[leaf, statuses[index]]])),
    );
    const stored: CertificateStoreAnswers = { question, at: now().wall, answers };
    await store.commit(
      store.transaction().setStation(station, { [STATION_FIELDS.certificateStore]: JSON.stringify(stored) }),
    );
  };

  return {
    /** A worker wants to know: `QUESTION STATION`. Never rejects: a worker that is not answered asks again. */
    wanted: (subject: string): void => {
      const space = subject.indexOf(' ');
      const station = subject.slice(space + 1);
      ask(station, subject.slice(0, space)).catch((error: unknown) =>
        log.debug({ station, reason: describeError(error) }, 'what the certificate store says was not stored'),
      );
    },

    /** An answer that was asked for. `false`: this topic is something else. */
    hear(topic: string, payload: Uint8Array): boolean {
      const stripped = prefix.strip(topic);
      const question = questions.get(stripped?.rest.split('/').at(-1) ?? '');
      if (!question) return false;
      const status = readLeafAnswer(payload);
      // What a station says of another one counts for nothing.
      if (status !== undefined && (stripped?.station ?? question.station) === question.station) question.answer(status);
      return true;
    },
  };
}
