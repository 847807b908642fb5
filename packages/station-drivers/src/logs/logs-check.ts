/** Whether the logs of a station can be read, before somebody asks for them. Pure: answers in, findings out. */
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { good, wanting } from '../check/findings.js';
import { type Answer, type AskAnswer, type Question, unwrap } from '../check/questions.js';
import { type CheckFinding, LOG_TYPES } from '../port.js';
import type { ProfileCheck } from '../profiles/profile-check.js';
import type { StationText } from '../station-text.js';
import { mayNotSee } from './journal-parts.js';
import { isListed, type ListedPlan, plannedSources } from './planned-sources.js';

const LIMIT_S = 20;
/** How many files there are, and how many of them may be read. */
const COUNT =
  'IFS=; n=0; r=0; for g in "$@"; do for p in $g; do [ -f "$p" ] || continue; n=$((n + 1)); [ ! -r "$p" ] || r=$((r + 1)); done; done; echo "$n $r"';

/** Of both types, each once. */
function listedOf(entry: RealDriverEntry): readonly ListedPlan[] {
  const plans = LOG_TYPES.flatMap((type) => plannedSources(entry, type).filter(isListed));
  const keyOf = (plan: ListedPlan): string => JSON.stringify(plan.kind === 'files' ? plan.globs : plan.argv);
  return [...new Map(plans.map((plan) => [keyOf(plan), plan])).values()];
}

function questionOf(plan: ListedPlan): Question {
  const argv =
    plan.kind === 'files' ? ['/bin/sh', '-c', COUNT, 'khumbu', ...plan.globs] : [...plan.argv, '--field=_BOOT_ID'];
  return { kind: 'ask', argv, limitS: LIMIT_S };
}

/** `undefined`: there is nothing, and nobody named it. */
type Judgement = { readonly isReadable: boolean; readonly text: string; readonly remedy: string } | undefined;

function judgeFiles({ name, isNamed }: ListedPlan, { out }: AskAnswer): Judgement {
  const [count = 0, readable = 0] = out.trim().split(' ').map(Number);
  const remedy = 'let our user read them: its group, or setfacl -m g:khumbu:rX for files and folder';
  if (count > 0)
    return { isReadable: readable > 0, text: `${name}: ${readable} of ${count} files may be read`, remedy };
  return isNamed
    ? { isReadable: false, text: `${name}: there are no such files now`, remedy: 'look at the pattern' }
    : undefined;
}

function judgeJournal(
  plan: Extract<ListedPlan, { kind: 'journal' }>,
  { code, out, err }: AskAnswer,
  texts: StationText,
): Judgement {
  const said = texts.shown(err, 200);
  const { name, isNamed } = plan;
  const remedy = unwrap(plan.argv).isPrivileged
    ? 'npm run station-sudoers prints the lines that allow it'
    : 'put our user into the group systemd-journal (or adm): usermod -aG systemd-journal';
  if (mayNotSee(err)) return { isReadable: false, text: `${name}: records of others may not be seen: ${said}`, remedy };
  const boots = out.split('\n').filter((line) => /^[0-9a-f]{32}$/.test(line)).length;
  if (boots > 0) return { isReadable: true, text: `${name}: ${boots} boots`, remedy };
  if (!isNamed) return undefined;
  const why = said === '' ? 'it has no records that we may see' : said;
  return { isReadable: false, text: `${name}: ${why}${code === 127 ? ' (there is no journalctl)' : ''}`, remedy };
}

function judge(plans: readonly ListedPlan[], answers: readonly Answer[], texts: StationText): readonly CheckFinding[] {
  const judgements = plans.flatMap((plan, at) => {
    const answer = answers[at];
    if (answer?.kind !== 'ask') return [];
    return (plan.kind === 'files' ? judgeFiles(plan, answer) : judgeJournal(plan, answer, texts)) ?? [];
  });
  // One that can be read is enough for an archive; what is wrong with the others is in its notes.
  const outcome = judgements.some(({ isReadable }) => isReadable) ? 'warning' : 'missing';
  return judgements.map(({ isReadable, text, remedy }) =>
    isReadable ? good('logs', text, ['logs']) : wanting(outcome, 'logs', text, remedy, ['logs']),
  );
}

/** The check of a profile, and that of the logs of its entry. */
export function withLogs(check: ProfileCheck, entry: RealDriverEntry): ProfileCheck {
  const plans = listedOf(entry);
  return {
    commands: check.commands,
    questions: [...check.questions, ...plans.map(questionOf)],
    judge: (answers, nowMs, texts) => {
      const own = check.questions.length;
      return [...check.judge(answers.slice(0, own), nowMs, texts), ...judge(plans, answers.slice(own), texts)];
    },
  };
}
