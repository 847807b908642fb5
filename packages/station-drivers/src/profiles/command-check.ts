/** Profile `command`, checked before use: its programs are there, and its evidence can be read. */

import type { CommandVerbs } from '@khumbu/shared/stations/driver-entry';
import type { PlannedCommand } from '../check/commands.js';
import { good, wanting } from '../check/findings.js';
import type { AskAnswer } from '../check/questions.js';
import type { CheckFinding, StationVerb } from '../port.js';
import { readEvidence } from '../station/protocol.js';
import type { StationText } from '../station-text.js';
import type { ProfileCheck } from './profile-check.js';

const EVIDENCE_S = 20;

function judgeEvidence({ code, out, err }: AskAnswer, texts: StationText): CheckFinding {
  const verbs: readonly StationVerb[] = ['observe', 'install'];
  const bad = (why: string): CheckFinding =>
    wanting('missing', 'evidence', `the evidence cannot be read: ${why}`, 'run its command by hand', verbs);
  if (code === undefined) return bad('it prints too much');
  if (code !== 0) return bad(texts.shown(err, 200) || `it ends with ${code}`);
  let evidence: ReturnType<typeof readEvidence>;
  try {
    evidence = readEvidence(out, texts);
  } catch (error) {
    return bad((error as Error).message);
  }
  const { healthy, slot, version } = evidence;
  const what = [
    slot === undefined ? '' : `slot ${texts.shown(slot)}`,
    version === undefined ? '' : `version ${version}`,
  ];
  const runs = what.filter((text) => text !== '').join(', ') || 'evidence is given';
  if (healthy) return good('evidence', runs, verbs);
  return wanting('warning', 'evidence', `${runs}; the station says that it is not well`, 'look at the station', verbs);
}

/** URL: whether this answers, by whichever of two programs is there. The maker's own need be neither. */
const REACHES =
  'if command -v curl >/dev/null; then exec curl -fsS -m 15 -o /dev/null "$1"; ' +
  'elif command -v wget >/dev/null; then exec wget -q -T 15 -O /dev/null "$1"; ' +
  'else echo "neither curl nor wget is there to try it" >&2; exit 127; fi';
const REACHES_S = 20;

function judgeDepot(depotUrl: string, { code, err }: AskAnswer, texts: StationText): CheckFinding {
  const verbs: readonly StationVerb[] = ['install'];
  if (code === 0) return good('depot_url', `the station reaches the depot at ${depotUrl}`, verbs);
  const why = texts.shown(err, 200) || `it ends with ${code}`;
  if (code === 127)
    return wanting(
      'unknown',
      'depot_url',
      `it is not known whether the station reaches ${depotUrl}: ${why}`,
      'try it there',
      verbs,
    );
  const text = `the station does not reach the depot at ${depotUrl}: ${why}`;
  return wanting('missing', 'depot_url', text, 'mend depot_url of its entry, or the way between', verbs);
}

/** `depotUrl`: where the station pulls images from, if it does. */
export function commandCheck(command: CommandVerbs, depotUrl?: string): ProfileCheck {
  const planned = (verb: StationVerb, argv: readonly string[] | undefined): readonly PlannedCommand[] =>
    argv ? [{ verb, argv }] : [];
  return {
    commands: [
      { verb: 'install', argv: command.install },
      { verb: 'observe', argv: command.evidence },
      ...planned('logs', command.logs),
      ...planned('network', command.network),
    ],
    questions: [
      { kind: 'ask', argv: command.evidence, limitS: EVIDENCE_S },
      ...(depotUrl === undefined
        ? []
        : [
            {
              kind: 'ask',
              argv: ['/bin/sh', '-c', REACHES, 'khumbu', `${depotUrl}/livez`],
              limitS: REACHES_S,
            } as const,
          ]),
    ],
    judge: ([evidence, depot], _nowMs, texts) => [
      ...(evidence?.kind === 'ask' ? [judgeEvidence(evidence, texts)] : []),
      ...(depot?.kind === 'ask' && depotUrl !== undefined ? [judgeDepot(depotUrl, depot, texts)] : []),
    ],
  };
}
