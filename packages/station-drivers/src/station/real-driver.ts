/** The driver of a real station: a transport, the program that runs there, and a profile. */

import { CodedError } from '@khumbu/shared/runtime/errors';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { unreachable } from '../pool.js';
import type { EffectState, EffectStep, StationDriver } from '../port.js';
import type { Profile } from '../profiles/profile.js';
import { profileOf } from '../profiles/profiles.js';
import { localTransport } from '../transports/local.js';
import { createSshTransport, type SshPool } from '../transports/ssh/ssh-transport.js';
import { type CallOptions, readableText } from './call.js';
import { limitsOf, sshTargetOf } from './entry-settings.js';
import { openLogStream } from './log-stream.js';
import { effectOf, evidenceOf, readClockText, readEvidence, readInstall, readLines } from './protocol.js';
import { putImage } from './put-image.js';
import { createStationProgram, newNonce, readSections } from './station-program.js';

/** Exit code of a tool that is at work. */
const BUSY = 75;

const first = (sections: ReadonlyMap<string, readonly Buffer[]>, name: string): Buffer =>
  sections.get(name)?.[0] ?? Buffer.alloc(0);

export function createRealDriver(station: string, entry: RealDriverEntry, connections: SshPool): StationDriver {
  const { state_dir: stateDir, boot_id: bootId = [] } = entry;
  const limits = limitsOf(entry);
  const target = entry.transport === 'ssh' ? sshTargetOf(entry, limits) : undefined;
  const transport = target ? createSshTransport(target, connections) : localTransport;
  const profile: Profile = profileOf(entry);
  const program = createStationProgram({ transport, stateDir, scripts: profile.scripts, bootId });
  const options = (signal: AbortSignal): CallOptions => ({ signal, timeoutMs: (limits.commandS + 30) * 1000 });
  const limitOf: Record<EffectStep, number> = {
    install: limits.installS,
    reboot: limits.rebootS,
    restart: limits.restartS,
  };

  const look = async (operationId: string, step: EffectStep, signal: AbortSignal) => {
    const { stdout } = await program.ask('observe-effect', [`${operationId}.${step}`], options(signal));
    const sections = readSections(stdout);
    const state = first(sections, 'state').toString('latin1');
    const effect = effectOf(step, {
      state,
      out: first(sections, 'out'),
      err: first(sections, 'err'),
      limitS: limitOf[step],
    });
    const isBrokenOff = state === 'lost' || state.startsWith('ended late');
    return { effect, isBrokenOff, others: first(sections, 'others').toString('latin1') };
  };

  const refuseFor = (answer: string): void => {
    const [word, ...rest] = answer.trim().split(' ');
    if (word === 'retired') throw new CodedError('EFFECT_RETIRED', 'the operation was given up');
    if (word === 'busy') throw new CodedError('STATION_BUSY', `${readableText(rest.join(' '), 100)} is under way`);
    if (word !== 'started' && word !== 'known' && word !== 'free')
      throw unreachable(`it is not known whether it began: ${readableText(answer, 200)}`);
  };

  const run = async (argv: readonly string[], signal: AbortSignal, input?: string) => {
    return program.run(argv, { signal, limitS: limits.commandS, input });
  };

  return {
    station,
    capabilities: {
      effects: ['install', 'reboot', 'restart'],
      clock: true,
      network: profile.network('any') !== undefined,
      logs: profile.logs({ type: 'DiagnosticsLog' }) !== undefined,
    },

    async start(effect, signal, onTransfer) {
      signal.throwIfAborted();
      const { operationId, step } = effect;
      const seen = await look(operationId, step, signal);
      if (seen.effect.state !== 'absent') return;
      // The station decides once more when it begins; this spares a transfer that would be for nothing.
      refuseFor(seen.others);
      let argv: readonly string[];
      if (effect.step === 'install') {
        const { image } = effect;
        await putImage(program, image, {
          signal,
          stallMs: limits.transferStallS * 1000,
          finishMs: (limits.transferStallS + Math.ceil(image.sizeBytes / 1e6)) * 1000,
          onProgress: onTransfer,
        });
        const { sha256, sizeBytes } = image;
        argv = profile.install({ operationId, imagePath: `${stateDir}/images/${sha256}`, sha256, sizeBytes });
      } else argv = effect.step === 'reboot' ? profile.reboot(operationId) : profile.restart(operationId);
      const probe = profile.evidence();
      const image = effect.step === 'install' ? effect.image.sha256 : '-';
      const limit = String(limitOf[step]);
      const args = [operationId, step, limit, limit, image, newNonce(), String(probe.length), ...probe, ...argv];
      const { stdout } = await program.ask('start', args, options(signal));
      refuseFor(stdout.toString('latin1'));
    },

    async retire(operationId, signal) {
      await program.ask('retire', [operationId], options(signal));
    },

    async observeEffect(operationId, step, signal): Promise<EffectState> {
      const { effect, isBrokenOff } = await look(operationId, step, signal);
      const argv = step === 'install' && isBrokenOff ? profile.recover?.(operationId) : undefined;
      if (!argv) return effect;
      const { code, stderr } = await run(argv, signal);
      if (code === BUSY) return { state: 'running' };
      if (code !== 0) throw unreachable(`what was broken off cannot be put back: ${readableText(stderr)}`);
      return effect;
    },

    async observe(signal) {
      const nonce = newNonce();
      const args = [nonce, String(limits.commandS), ...profile.evidence()];
      let sections: ReturnType<typeof readSections>;
      try {
        sections = readSections((await program.ask('observe', args, options(signal))).stdout);
      } catch (error) {
        if (signal.aborted) program.end(nonce);
        throw error;
      }
      const code = first(sections, 'exit').toString('latin1');
      if (code !== '0')
        throw unreachable(`the evidence ended with ${code}: ${readableText(first(sections, 'err'), 300)}`);
      const installs = (sections.get('install') ?? []).map(readInstall).filter((install) => install !== undefined);
      const evidence = readEvidence(first(sections, 'out'));
      return evidenceOf(
        installs,
        first(sections, 'boot').toString('latin1'),
        evidence,
        first(sections, 'busy').length > 0,
      );
    },

    async readClock(signal) {
      const { code, stdout, stderr } = await run(profile.readClock(), signal);
      if (code !== 0) throw unreachable(`the clock cannot be read: ${readableText(stderr)}`);
      return readClockText(stdout);
    },

    async setClock(time, signal) {
      const argv = profile.setClock(time);
      const seconds = (time.getTime() / 1000).toFixed(3);
      const { code, stderr } = argv
        ? await run(argv, signal)
        : await program.ask('set-clock', [seconds], options(signal));
      if (code !== 0)
        throw new CodedError('CLOCK_REFUSED', readableText(stderr) || 'the station refused to set its clock');
    },

    async configureNetwork({ interfaceName, apn, vpn }, signal) {
      const argv = profile.network(interfaceName);
      if (!argv) throw new CodedError('NOT_SUPPORTED', 'networks are not configured at this station');
      // Not an argument: those can be read by everybody at the station.
      const request = JSON.stringify({ interface: interfaceName, apn, vpn });
      const { code, stdout, stderr } = await run(argv, signal, `${request}\n`);
      if (code !== 0)
        throw new CodedError('NETWORK_FAILED', readableText(stderr) || 'the station could not prepare the interface');
      return { interfaceAddress: readLines(stdout).address ?? interfaceName };
    },

    async openLogs(query, signal) {
      signal.throwIfAborted();
      const argv = profile.logs(query);
      if (!argv) throw new CodedError('LOGS_UNAVAILABLE', 'the station has no command that gives its logs');
      await program.prepare(options(signal));
      const stream = await openLogStream({ transport, program, argv, limitS: limits.logsS, signal });
      return [{ name: query.type === 'SecurityLog' ? 'security' : 'logs', stream }];
    },
  };
}
