/** Effects at a station, and its own evidence. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { unreachable } from '../pool.js';
import type {
  Effect,
  EffectState,
  EffectStep,
  FirmwareImage,
  StationDriver,
  StationEvidence,
  TransferProgress,
} from '../port.js';
import { imageWord } from '../profiles/profile.js';
import type { StationText } from '../station-text.js';
import { effectOf, evidenceOf, readEvidence, readInstall } from './protocol.js';
import { putImage } from './put-image.js';
import type { StationParts } from './station-parts.js';
import { newNonce, readSections } from './station-program.js';

/** Exit code of a tool that is at work. */
const BUSY = 75;

type Effects = Pick<StationDriver, 'start' | 'retire' | 'observeEffect' | 'observe'> &
  Required<Pick<StationDriver, 'recover'>>;

const first = (sections: ReadonlyMap<string, readonly Buffer[]>, name: string): Buffer =>
  sections.get(name)?.[0] ?? Buffer.alloc(0);

/** Exit codes above are those of a command that a signal ended. */
const ENDED_BY_SIGNAL = 128;

/**
 * Whether the command of an effect was ended before it could say how it went, or put anything back. What it had set to work
 * may go on: the service of an update tool does. Pure.
 */
function isBrokenOff(state: string): boolean {
  const [word, code] = state.split(' ');
  return word === 'lost' || (word === 'ended' && (code === 'late' || Number(code) > ENDED_BY_SIGNAL));
}

/** Throws for what keeps an effect from beginning. */
function assertMayBegin(answer: string, texts: StationText): void {
  const [word, ...rest] = answer.trim().split(' ');
  if (word === 'retired') throw new CodedError('EFFECT_RETIRED', 'the operation was given up');
  if (word === 'busy') throw new CodedError('STATION_BUSY', `${texts.shown(rest.join(' '), 100)} is under way`);
  if (word !== 'started' && word !== 'known' && word !== 'free')
    throw unreachable(`it is not known whether it began: ${texts.shown(answer, 200)}`);
}

/** What the verb `observe` printed. Throws `STATION_UNREACHABLE` where nothing is known by it. */
function evidenceFrom(sections: ReadonlyMap<string, readonly Buffer[]>, texts: StationText): StationEvidence {
  const code = first(sections, 'exit').toString('latin1');
  if (code !== '0')
    throw unreachable(`the evidence ended with ${texts.shown(code, 20)}: ${texts.shown(first(sections, 'err'), 300)}`);
  const installs = (sections.get('install') ?? []).map(readInstall).filter((install) => install !== undefined);
  const evidence = readEvidence(first(sections, 'out'), texts);
  const isBusy = first(sections, 'busy').length > 0;
  return evidenceOf(installs, first(sections, 'boot').toString('latin1'), evidence, isBusy, texts);
}

const observerOf =
  ({ limits, profile, program, texts, options }: StationParts) =>
  async (signal: AbortSignal): Promise<StationEvidence> => {
    const nonce = newNonce();
    const args = [nonce, String(limits.commandS), ...profile.evidence()];
    let sections: ReturnType<typeof readSections>;
    try {
      sections = readSections((await program.ask('observe', args, options(signal))).stdout);
    } catch (error) {
      if (signal.aborted) program.end(nonce);
      throw error;
    }
    return evidenceFrom(sections, texts);
  };

/** From where the station fetches the image itself: good for as long as its install may take. */
async function urlOf(
  { profile, limits }: StationParts,
  { contentPath }: FirmwareImage,
): Promise<{ imageUrl?: string }> {
  const { pullsFrom } = profile;
  if (pullsFrom === undefined) return {};
  if (!contentPath) throw new CodedError('NOT_SUPPORTED', 'this depot hands out no URL of its images');
  return { imageUrl: `${pullsFrom}${await contentPath(limits.installS)}` };
}

const argvOfEffect =
  (parts: StationParts) =>
  async (effect: Effect): Promise<readonly string[]> => {
    const { profile, stateDir } = parts;
    const { operationId } = effect;
    if (effect.step === 'reboot') return profile.reboot(operationId);
    if (effect.step === 'restart') return profile.restart(operationId);
    const { sha256, sizeBytes } = effect.image;
    const imagePath = `${stateDir}/images/${sha256}`;
    return profile.install({ operationId, imagePath, sha256, sizeBytes, ...(await urlOf(parts, effect.image)) });
  };

export function effectsAt(parts: StationParts): Effects {
  const { limits, profile, program, texts, options, run } = parts;
  const observe = observerOf(parts);
  const limitOf: Record<EffectStep, number> = {
    install: limits.installS,
    reboot: limits.rebootS,
    restart: limits.restartS,
  };

  const look = async (operationId: string, step: EffectStep, signal: AbortSignal) => {
    const { stdout } = await program.ask('observe-effect', [`${operationId}.${step}`], options(signal));
    const sections = readSections(stdout);
    const state = first(sections, 'state').toString('latin1');
    const [out, err] = [first(sections, 'out'), first(sections, 'err')];
    const effect = effectOf(step, { state, out, err, limitS: limitOf[step] }, texts);
    return { effect, isBrokenOff: isBrokenOff(state), others: first(sections, 'others').toString('latin1') };
  };

  const bring = (image: FirmwareImage, signal: AbortSignal, onProgress?: TransferProgress): Promise<void> =>
    putImage(program, image, {
      signal,
      texts,
      stallMs: limits.transferStallS * 1000,
      finishMs: (limits.transferStallS + Math.ceil(image.sizeBytes / 1e6)) * 1000,
      onProgress,
    });

  const argvOf = argvOfEffect(parts);

  return {
    async start(effect, signal, onTransfer) {
      signal.throwIfAborted();
      const { operationId, step } = effect;
      const seen = await look(operationId, step, signal);
      if (seen.effect.state !== 'absent') return;
      // The station decides once more when it begins; this spares a transfer that would be for nothing.
      assertMayBegin(seen.others, texts);
      if (effect.step === 'install' && profile.pullsFrom === undefined) await bring(effect.image, signal, onTransfer);
      const probe = profile.evidence();
      const image = effect.step === 'install' ? imageWord(profile, effect.image.sha256) : '-';
      const limit = String(limitOf[step]);
      const args = [
        operationId,
        step,
        limit,
        limit,
        image,
        newNonce(),
        String(probe.length),
        ...probe,
        ...(await argvOf(effect)),
      ];
      const { stdout } = await program.ask('start', args, options(signal));
      assertMayBegin(stdout.toString('latin1'), texts);
    },

    async retire(operationId, signal) {
      await program.ask('retire', [operationId], options(signal));
    },

    async observeEffect(operationId, step, signal): Promise<EffectState> {
      const { effect, isBrokenOff } = await look(operationId, step, signal);
      const isUnknown = step === 'install' && isBrokenOff;
      // An image that is told as failed must not run after the next power cut.
      const isUnbooted = step === 'reboot' && effect.state === 'failed';
      const argv = isUnknown || isUnbooted ? profile.recover?.(operationId) : undefined;
      if (!argv) return effect;
      const { code, stderr } = await run(argv, signal);
      if (code === BUSY) return { state: 'running' };
      if (code !== 0) throw unreachable(`what was broken off cannot be put back: ${texts.shown(stderr)}`);
      return effect;
    },

    async recover(operationId, signal) {
      const { effect, isBrokenOff } = await look(operationId, 'install', signal);
      if (effect.state === 'absent' || (effect.state === 'failed' && !isBrokenOff)) return 'nothing';
      const { busy, runningInstalledBy } = await observe(signal);
      if (busy) throw new CodedError('STATION_BUSY', 'an effect is under way');
      if (runningInstalledBy === operationId) return 'runs';
      const argv = profile.recover?.(operationId);
      if (!argv) return 'not_supported';
      const { code, stderr } = await run(argv, signal);
      if (code === BUSY) throw new CodedError('STATION_BUSY', 'the update tool is at work');
      if (code !== 0) throw new CodedError('RECOVERY_FAILED', texts.shown(stderr) || `its command ended with ${code}`);
      return 'put_back';
    },

    observe,
  };
}
