import type { Origin } from '@khumbu/operations/records/record';

/** Where a request comes from. `answerKey` names the request: the same key gets the same answer. */
export interface Requester {
  readonly station: string;
  readonly answerKey: string;
  readonly origin: Origin;
  /** Certainly a new request, whatever is stored under its key. */
  readonly isFresh?: true;
  /** Over REST: the name of the caller. */
  readonly caller?: string;
  /** REST may push aside what EVerest asked for. */
  readonly replace?: boolean;
  /** It takes the place of nothing that is under way, whoever asked for that. */
  readonly isPatient?: true;
  /** How long the answer is kept, where it is not for as long as EVerest could ask again. */
  readonly answerTtlMs?: number;
}

export const askedBy = ({ caller }: Requester): { askedBy?: string } =>
  caller === undefined ? {} : { askedBy: caller };
