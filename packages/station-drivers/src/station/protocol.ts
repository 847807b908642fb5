/** What stations say, read with suspicion: sizes, forms and characters are theirs to choose. Pure. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { readableText } from '@khumbu/shared/runtime/readable-text';
import { unreachable } from '../pool.js';
import type { EffectState, EffectStep, StationEvidence } from '../port.js';
import { plainText, type StationText } from '../station-text.js';
import { interfaceAddressOf } from './interface-address.js';

export interface Evidence {
  readonly bootId: string;
  readonly healthy: boolean;
  /** `null`: what runs is known not to be ours; absent: it does not say. */
  readonly runningSha256?: string | null;
  readonly version?: string;
  readonly slot?: string;
  readonly bootReason?: string;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** As it is, but readable: it is compared, or used; `show`: people see it. */
const shortText = (value: unknown, show: StationText['shown'] = readableText): string | undefined => {
  const text = typeof value === 'string' ? show(value, 200) : '';
  return text === '' ? undefined : text;
};

/** The evidence that a program printed, its version as people may see it. Throws `STATION_UNREACHABLE`: then nothing is known. */
export function readEvidence(output: Buffer | string, texts: StationText = plainText): Evidence {
  const value = parseObject(output.toString('utf8'));
  const bootId = shortText(value?.boot_id);
  const healthy = value?.healthy;
  if (value === undefined || bootId === undefined || typeof healthy !== 'boolean')
    throw unreachable('the evidence of the station is no JSON object with boot_id and healthy');
  const { running_sha256: running } = value;
  const sha256 = typeof running === 'string' ? running.toLowerCase() : running === null ? null : undefined;
  if (typeof sha256 === 'string' && !/^[0-9a-f]{64}$/.test(sha256))
    throw unreachable('running_sha256 in the evidence of the station is no SHA-256');
  const version = shortText(value.version, texts.shown);
  const [slot, bootReason] = [shortText(value.slot), shortText(value.boot_reason)];
  return {
    bootId,
    healthy,
    ...(sha256 === undefined ? {} : { runningSha256: sha256 }),
    ...(version === undefined ? {} : { version }),
    ...(slot === undefined ? {} : { slot }),
    ...(bootReason === undefined ? {} : { bootReason }),
  };
}

/** Who installed what: a line of the station program, and the evidence before the install. */
export interface InstallRecord {
  readonly operationId: string;
  readonly sha256: string;
  readonly needsReboot: boolean;
  /** The boot it was installed in. */
  readonly boot: string;
  readonly at: Date;
  readonly slotBefore?: string;
}

/** OPERATION SHA256 REBOOT BOOT SECONDS, as the station program writes it; anything else was not written by it. */
const INSTALL_LINE = /^([A-Za-z0-9._:-]{1,200}) ([0-9a-f]{64}|-) (yes|no) ([A-Za-z0-9._:-]{1,200}) (\d{1,12})$/;

export function readInstall(bytes: Buffer): InstallRecord | undefined {
  const [line = '', ...rest] = bytes.toString('utf8').split('\n');
  const [, operationId, sha256, reboot, boot, seconds] = INSTALL_LINE.exec(line) ?? [];
  if (!operationId || !sha256 || !reboot || !boot || !seconds) return undefined;
  const slotBefore = shortText(parseObject(rest.join('\n'))?.slot);
  return {
    operationId,
    sha256,
    needsReboot: reboot !== 'no',
    boot,
    at: new Date(Number(seconds) * 1000),
    ...(slotBefore === undefined ? {} : { slotBefore }),
  };
}

/**
 * Which install the running system is from. One that needs a reboot counts from the next boot; one after which the slot is
 * the one from before has fallen back. What the station says of its image wins over both.
 */
function runningInstall(
  installs: readonly InstallRecord[],
  boot: string,
  { runningSha256, slot }: Evidence,
): InstallRecord | undefined {
  return installs.findLast((install) => {
    if (install.needsReboot && install.boot === boot) return false;
    if (runningSha256 !== undefined) return install.sha256 === runningSha256;
    return !install.needsReboot || slot === undefined || install.slotBefore !== slot;
  });
}

export function evidenceOf(
  installs: readonly InstallRecord[],
  boot: string,
  evidence: Evidence,
  busy: boolean,
  texts: StationText = plainText,
): StationEvidence {
  const running = runningInstall(installs, boot, evidence);
  const sha256 = evidence.runningSha256 ?? running?.sha256;
  const { version, slot, bootReason } = evidence;
  return {
    bootId: evidence.bootId,
    healthy: evidence.healthy,
    busy,
    ...(sha256 === undefined ? {} : { runningImageSha256: sha256 }),
    ...(running ? { runningInstalledBy: running.operationId, installedAt: running.at } : {}),
    ...(version === undefined ? {} : { version }),
    // It has been compared.
    ...(slot === undefined ? {} : { slot: texts.shown(slot, 200) }),
    ...(bootReason === undefined ? {} : { bootReason }),
  };
}

export interface SeenEffect {
  /** As the station program says it: absent, running, lost, ended CODE SECONDS. */
  readonly state: string;
  readonly out: Buffer;
  readonly err: Buffer;
  readonly limitS: number;
}

interface Lines {
  readonly progress?: number;
  /** As it is. */
  readonly message?: string;
  readonly rebootNeeded?: boolean;
  /** Of an interface, or its name. */
  readonly address?: string;
  /** Of NetworkManager. */
  readonly checkpoint?: string;
}

const CHECKPOINT = /^\/org\/freedesktop\/NetworkManager\/Checkpoint\/\d{1,10}$/;

/** The last of each kind of JSON line; what is none is passed over. */
export function readLines(output: Buffer): Lines {
  let lines: Lines = {};
  for (const line of output.toString('utf8').split('\n')) {
    const value = line.startsWith('{') ? parseObject(line) : undefined;
    if (!value) continue;
    const { progress, reboot_needed: rebootNeeded } = value;
    const message = shortText(value.message) === undefined ? undefined : String(value.message);
    const [address, checkpoint] = [interfaceAddressOf(value.address), shortText(value.checkpoint)];
    if (typeof progress === 'number' && progress >= 0 && progress <= 100) lines = { ...lines, progress };
    if (message !== undefined) lines = { ...lines, message };
    if (address !== undefined) lines = { ...lines, address };
    if (checkpoint !== undefined && CHECKPOINT.test(checkpoint)) lines = { ...lines, checkpoint };
    if (typeof rebootNeeded === 'boolean') lines = { ...lines, rebootNeeded };
  }
  return lines;
}

const UNFIT = '65';
const BUSY = '75';

/** What became of an effect. Throws `STATION_FAILED` for words it does not know. */
export function effectOf(
  step: EffectStep,
  { state, out, err, limitS }: SeenEffect,
  texts: StationText = plainText,
): EffectState {
  const lines = readLines(out);
  const failed = (message: string, code: 'failed' | 'verification_failed' = 'failed'): EffectState => ({
    state: 'failed',
    code,
    message,
  });
  const [word, code = ''] = state.split(' ');
  if (word === 'absent') return { state: 'absent' };
  if (word === 'running')
    return { state: 'running', ...(lines.progress === undefined ? {} : { progressPercent: lines.progress }) };
  if (word === 'lost') return failed('it was broken off: the station lost power or ended it');
  if (word !== 'ended') throw new CodedError('STATION_FAILED', 'the station answers in no known form');
  if (code === '0')
    return step === 'install'
      ? { state: 'succeeded', rebootNeeded: lines.rebootNeeded ?? true }
      : { state: 'succeeded' };
  const why = texts.shown(lines.message ?? '', 200) || texts.lastLine(err, 300);
  if (code === 'late') return failed(`it was not done in ${limitS} s${why === '' ? '' : `: ${why}`}`);
  if (code === BUSY) return failed(why || 'the station stayed busy');
  if (code === UNFIT && step === 'install') return failed(why || 'the image is unfit', 'verification_failed');
  return failed(why || `its command ended with ${texts.shown(code, 20)}`);
}

/** Seconds since 1970, with or without a fraction. Throws `STATION_UNREACHABLE`: then nothing is known. */
export function readClockText(output: Buffer): Date {
  const [, seconds, fraction = ''] =
    /^@?(\d{1,12})(?:[.,](\d{1,9}))?(?![0-9A-Za-z])/.exec(output.toString('latin1').trim()) ?? [];
  if (seconds === undefined) throw unreachable('the clock of the station is no number of seconds');
  return new Date(Number(seconds) * 1000 + Number(fraction.padEnd(3, '0').slice(0, 3)));
}
