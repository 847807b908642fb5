import type { Origin, RecordBase } from '@khumbu/operations/records/record';

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
  /** What it is called by who asks over REST, and the bulk order it comes with. */
  readonly title?: string;
  readonly orderId?: string;
  /** Over REST: the installation is allowed with the order, and its permission not waited for. */
  readonly allowsInstallation?: true;
  /** It is decided and nothing is stored: what would be answered now. */
  readonly isTrial?: true;
  /** How long the answer is kept, where it is not for as long as EVerest could ask again. */
  readonly answerTtlMs?: number;
}

/** What a record has of who asked. */
export const askedBy = ({ caller, title, orderId }: Requester): Pick<RecordBase, 'askedBy' | 'title' | 'orderId'> => ({
  ...(caller === undefined ? {} : { askedBy: caller }),
  ...(title === undefined ? {} : { title }),
  ...(orderId === undefined ? {} : { orderId }),
});
