/** Wave after wave of hostile frames; a wave is over when the broker has it and every answer that is due has come. */
import type { Random } from '../random.js';
import { answerDue, isLevel, readFrame } from './expectation.js';
import { hostileFrame, isWritten, LEAF_NAMES, type Leaf } from './frames.js';
import { lie } from './lies.js';
import type { Spy } from './spy.js';
import { wildName, wildTopic } from './wild-values.js';
import { openWire, type Shot } from './wire.js';

const WAVE = 500;
const CLIENTS = 4;
const UNCONFIGURED = 200;
const ANSWER_MS = 60_000;
const REPORTED = 8;

export interface AttackPlan {
  readonly mqttUrl: string;
  readonly prefixOf: (station: string) => string;
  /** The station's id is a level of the prefix; its module may be called anything. */
  readonly perStation: boolean;
  /** Stations that must stay as they are: nothing that is valid by chance is sent for them. */
  readonly settled: readonly string[];
  readonly frames: number;
  readonly random: Random;
  readonly spy: Spy;
  /** Questions of the gateway that wait for a lie; taken out of the list. */
  readonly lies: { topic: string; bytes: Buffer }[];
  readonly afterWave: () => Promise<void>;
  readonly say: (line: string) => void;
}

export interface AttackResult {
  readonly sent: number;
  readonly refused: number;
  readonly unconfigured: number;
  readonly unanswered: readonly string[];
}

/** Leaves without a reply obey anything, or the bare value: what they do for these stations is valid. */
const NEVER_FOR_SETTLED: readonly Leaf[] = ['allow_firmware_installation', 'heartbeat'];
const TYPES: readonly unknown[] = ['Soft', 'Hard', 'NotSpecified'];

/** A mutated frame that still is a valid request, or may be taken for one. Errs towards yes. */
function mayBeValid(leaf: Leaf, bytes: Buffer): boolean {
  if (NEVER_FOR_SETTLED.includes(leaf) || !isWritten(leaf)) return true;
  const frame = readFrame(bytes) as { payload?: unknown; type?: unknown } | null | undefined;
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return false;
  if (leaf === 'get_boot_reason') return true;
  if (leaf === 'reset') return TYPES.includes(frame.type);
  const { payload } = frame;
  if (leaf === 'is_reset_allowed') return TYPES.includes(payload);
  if (leaf === 'set_system_time') return typeof payload === 'string' && !Number.isNaN(Date.parse(payload));
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return false;
  const { location, request_id: id, interface: wanted } = payload as Record<string, unknown>;
  const badId = typeof id !== 'number' || !Number.isInteger(id) || Math.abs(id) > 2 ** 31;
  if (leaf === 'configure_network') return !badId && typeof wanted === 'string';
  if (typeof location !== 'string' || location === '') return false;
  return leaf === 'upload_logs' ? id === undefined || !badId : !badId;
}

export async function attack(plan: AttackPlan): Promise<AttackResult> {
  const { random, spy, perStation, prefixOf } = plan;
  const wire = await openWire(plan.mqttUrl, CLIENTS);
  const unanswered: string[] = [];
  let sent = 0;
  let refused = 0;
  let unconfigured = UNCONFIGURED;
  const known = Array.from({ length: UNCONFIGURED }, (_, index) =>
    wildName(random.fork(`stranger ${index}`), index),
  ).map((name) => (isLevel(name) ? name : name.slice(0, 40)));

  const shoot = (number: number): Shot => {
    const dice = random.next();
    let station: string;
    if (dice < 0.12) station = random.pick(plan.settled);
    else if (dice < 0.8) station = random.pick(known);
    else {
      unconfigured += 1;
      station = wildName(random, UNCONFIGURED + number);
    }
    const isSettled = plan.settled.includes(station);
    // Behind a prefix the module is whatever it says it is, each time anew.
    const moduleId = perStation && !isSettled && random.chance(0.2) ? wildName(random, number) : station;
    const honest = `everest_api/1/system/${moduleId}/m2e/reply/${number.toString(36)}`;
    const frame = hostileFrame(random, honest);
    if (random.chance(0.1)) {
      const topic = `${prefixOf(station)}${wildTopic(random, moduleId, random.pick(LEAF_NAMES))}`;
      if (!isSettled || !topic.includes('/ocpp_consumer/'))
        return { topic, bytes: random.chance(0.3) ? lie(random, '').bytes : frame.bytes };
    }
    if (isSettled && mayBeValid(frame.leaf, frame.bytes)) return shoot(number);
    const due = isLevel(station) ? answerDue(frame.leaf, frame.bytes, moduleId) : undefined;
    if (due) spy.expect(`${prefixOf(station)}${due.to}`, due.text);
    return { topic: `${prefixOf(station)}everest_api/1/system/${moduleId}/e2m/${frame.leaf}`, bytes: frame.bytes };
  };

  const began = performance.now();
  for (let wave = 0; sent < plan.frames; wave++) {
    const count = Math.min(WAVE, plan.frames - sent);
    const shots = Array.from({ length: count }, (_, index) => shoot(sent + index));
    for (const { topic } of plan.lies.splice(0)) shots.push({ topic, bytes: lie(random, topic).bytes });
    refused += await wire.publish(shots, random);
    sent += shots.length;
    await spy.settled(ANSWER_MS);
    for (const [topic] of spy.open)
      if (unanswered.length < REPORTED) unanswered.push(`no answer on ${topic.slice(0, 200)}`);
    spy.forget();
    await plan.afterWave();
    if (wave % 100 === 99)
      plan.say(`${sent} frames, ${(sent / ((performance.now() - began) / 1000)).toFixed(0)} a second`);
    if (unanswered.length >= REPORTED) break;
  }
  await wire.close();
  return { sent, refused, unconfigured, unanswered };
}
