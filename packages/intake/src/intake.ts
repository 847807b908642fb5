/**
 * The intake answers what stations and fleet tools ask, in milliseconds, from stored state alone. The MQTT side and REST
 * call it alike:
 *
 * 1. accept: one function for each request. It reads, decides and commits (`decision-loop.ts`), and returns the answer. It
 *    rejects with `NOT_STORED` when nothing may be built on the decision; the station is then answered by default.
 * 2. The caller sends the answer.
 * 3. `confirm`, if the answer is out: what follows from it begins. `revoke`, if the default was sent instead.
 */
import { randomUUID } from 'node:crypto';
import type { Store } from '@khumbu/operations/kinds/store';
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import type {
  ConfigureNetworkRequest,
  FirmwareUpdateRequest,
  UploadLogsRequest,
} from '@khumbu/shared/contract/schemas';
import { answerAgain, createAccept } from './accept.js';
import { createAllowInstallation } from './allow-installation.js';
import { createCancel } from './cancel.js';
import { createConfigureNetwork } from './configure-network.js';
import { createConfirm } from './confirm.js';
import type { Answer, Undo } from './decision.js';
import { createDecisionLoop } from './decision-loop.js';
import { createEpochFence } from './epoch-fence.js';
import { createGetBootReason, type Liveness } from './get-boot-reason.js';
import { createHostEvidence } from './host-evidence.js';
import type { IntakeDeps, Parts } from './intake-deps.js';
import { createIsResetAllowed } from './is-reset-allowed.js';
import { createOrderDownload } from './order-download.js';
import { createQuestions, type Questions } from './questions.js';
import { createRememberedStations } from './remembered-stations.js';
import type { Requester } from './requester.js';
import { createReset } from './reset.js';
import { createRevoke } from './revoke.js';
import { createSetGroups } from './set-groups.js';
import { createSetSystemTime } from './set-system-time.js';
import { createReader } from './situation.js';
import { revokeReset } from './stored-reset.js';
import { createUpdateFirmware } from './update-firmware.js';
import { createUploadLogs } from './upload-logs.js';

/** What is known of a station's request beside its words. */
export interface Circumstances {
  /** Of the moment in which it came; with the sign that came since, once it has waited for one. */
  readonly liveness: Liveness;
  /** The broker has kept it, for an unknown time. */
  readonly isLate: boolean;
}
type Serve = (payload: unknown, requester: Requester, circumstances: Circumstances) => Promise<Answer>;

export type Intake = ReturnType<typeof createIntake>;

export function createIntake(deps: IntakeDeps) {
  const { redis, jobs, isAbandoned, log } = deps;
  const remembered = createRememberedStations(deps.store, (station) => deps.profileOf(station) !== undefined);
  const { store } = remembered;
  const read = createReader({ ...deps, store });
  const fence = createEpochFence({ redis, store, log }, (what) => undo(what));
  const readDecideCommit = createDecisionLoop(redis, fence);
  const accept = createAccept({ ...deps, store, readDecideCommit });
  const parts: Parts = { ...deps, store, read, readDecideCommit, accept };
  const requests: Parts = { ...parts, read: createReader(parts, remembered) };
  const { confirmOffered, confirmAgain, noteAnswerSent } = createConfirm(parts);
  const { revoke, persistDefaultReplies } = createRevoke(parts);
  const { setSystemTime, noteTime } = createSetSystemTime(requests);

  const undo = async (what: Undo): Promise<void> => {
    switch (what.kind) {
      case 'confirm':
        return confirmAgain(what.operationId);
      case 'revoke':
        return revoke(what.requester, what.channel, what.operationId);
      case 'revoke_reset':
        return revokeReset(parts, what);
    }
  };

  const updateFirmware = createUpdateFirmware(requests);
  const uploadLogs = createUploadLogs(requests);
  const configureNetwork = createConfigureNetwork(requests);
  const isResetAllowed = createIsResetAllowed(requests);
  const getBootReason = createGetBootReason(requests);

  return {
    /** What stations ask, by channel; one without a row does not compile. The codec has checked each payload. */
    serve: {
      update_firmware: (payload, requester) => updateFirmware(payload as FirmwareUpdateRequest, requester),
      upload_logs: (payload, requester) => uploadLogs(payload as UploadLogsRequest, requester),
      is_reset_allowed: (_payload, requester) => isResetAllowed(requester, true),
      set_system_time: (payload, requester, { isLate }) => setSystemTime(payload as string, requester, isLate),
      get_boot_reason: (_payload, requester, { liveness }) => getBootReason(requester, liveness),
      configure_network: (payload, requester) => configureNetwork(payload as ConfigureNetworkRequest, requester),
    } as const satisfies Readonly<Record<RequestChannelName, Serve>>,
    updateFirmware,
    uploadLogs,
    configureNetwork,
    isResetAllowed,
    getBootReason,
    /** For a question for the boot reason, before it is asked. */
    hostEvidence: createHostEvidence(parts),
    setSystemTime,
    reset: createReset(parts),
    allowInstallation: createAllowInstallation(parts),
    orderDownload: createOrderDownload(parts),
    cancel: createCancel(parts),
    setGroups: createSetGroups(parts),

    /** The answer is out: what follows from it begins. Safe to repeat. */
    async confirm({ followUp }: Answer): Promise<void> {
      switch (followUp?.kind) {
        case 'confirm':
          return confirmOffered(followUp.operationId);
        case 'begin':
          return jobs.ensure(followUp.record);
        case 'set_time':
          return noteTime(followUp);
      }
    },
    /** The default was sent although a decision was stored after all. Rejects until it is revoked. */
    revoke,
    /** The connection ended before it was known whether the station received the answer. Rejects when that is not stored. */
    noteAnswerSent,
    /** Defaults that were sent but could not be stored. Rejects until they are. */
    persistDefaultReplies,
    /** What the same request was answered before. Rejects when that cannot be read now. */
    async storedAnswer(requester: Requester): Promise<Answer | undefined> {
      const { answer } = await store.stationAndAnswer(requester.station, requester.answerKey);
      return answer && answerAgain(answer);
    },
    /** Over a store of its own: questions take no time from requests that wait for a decision. */
    questionsOver: (reading: Store): Questions =>
      createQuestions(createReader({ ...deps, store: reading }), isAbandoned),
    /** No worker takes jobs from this queue. */
    isAbandoned,
    /** No commit of unknown fate is left. */
    isSettled: (): boolean => fence.isSettled(),
    close: (): void => fence.close(),
  };
}

/** A key for a request that has no answer; never found again. */
export const anonymousAnswerKey = (): string => `none-${randomUUID()}`;
