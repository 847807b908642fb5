/** The record of one update, kept by the experiment as Redis keeps it: it moves on once, for the worker that is first. Pure. */
export type UpdateState = 'Accepted' | 'Installing' | 'InstallRebooting' | FinalState;
export type FinalState = 'Installed' | 'InstallationFailed' | 'InstallVerificationFailed';

const FINAL: readonly string[] = ['Installed', 'InstallationFailed', 'InstallVerificationFailed'];
export const isFinal = (state: UpdateState): state is FinalState => FINAL.includes(state);

export interface UpdateRecord {
  readonly state: UpdateState;
  readonly bootIdBefore?: string;
  readonly reason?: string;
}

/** What a worker wants to store: only valid while the record is as it saw it. */
export interface Move {
  readonly from: UpdateState;
  readonly to: UpdateRecord;
}

export interface RecordBook {
  readonly now: () => UpdateRecord;
  /** The record as it stands afterwards. */
  move(move: Move, by: string): UpdateRecord;
  /** Ended from outside: its time is over. */
  giveUp(): void;
  readonly wasGivenUp: () => boolean;
  /** Ends that workers arrived at, also those that came second. */
  readonly verdicts: () => readonly { readonly by: string; readonly record: UpdateRecord }[];
}

export function createRecordBook(): RecordBook {
  let record: UpdateRecord = { state: 'Accepted' };
  let givenUp = false;
  const verdicts: { by: string; record: UpdateRecord }[] = [];
  return {
    now: () => record,
    move({ from, to }, by) {
      if (isFinal(to.state)) verdicts.push({ by, record: to });
      if (record.state === from) record = { ...record, ...to };
      return record;
    },
    giveUp() {
      if (isFinal(record.state)) return;
      record = { ...record, state: 'InstallationFailed', reason: 'its time is over' };
      givenUp = true;
    },
    wasGivenUp: () => givenUp,
    verdicts: () => verdicts,
  };
}
