/** How a profile takes part in a check: what it runs, what it asks beside that, and what it makes of the answers. */
import type { PlannedCommand } from '../check/commands.js';
import type { Answer, Question } from '../check/questions.js';
import type { CheckFinding } from '../port.js';
import type { StationText } from '../station-text.js';

export interface ProfileCheck {
  /** Every command that a verb runs; sudoers lines and the gate of a forced command follow from them. */
  readonly commands: readonly PlannedCommand[];
  /** Commands that change nothing, and files. */
  readonly questions: readonly Question[];
  /** The answers come in the order of the questions. `nowMs`: the station's clock. Pure. */
  judge(answers: readonly Answer[], nowMs: number, texts: StationText): readonly CheckFinding[];
}
