/** What is done at a station at once: its clock, its network. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import { unreachable } from '../pool.js';
import type { StationDriver } from '../port.js';
import { readClockText, readLines } from './protocol.js';
import { withoutSecrets } from './quoted-secrets.js';
import type { StationParts } from './station-parts.js';

/** Exit code of the station program where there is no program for it, or it may not. */
const NO_PROGRAM = 69;

type Commands = Pick<StationDriver, 'readClock' | 'setClock' | 'slewClock' | 'configureNetwork'>;

function slewing({ profile, program, texts, options, run }: StationParts): Pick<Commands, 'slewClock'> {
  if (!profile.slewClock) return {};
  return {
    async slewClock(byMs, signal) {
      const argv = profile.slewClock?.(byMs);
      const { code, stderr } = argv
        ? await run(argv, signal)
        : await program.ask('slew-clock', [String(Math.round(byMs * 1000))], options(signal));
      if (code === NO_PROGRAM && !argv) throw new CodedError('NOT_SUPPORTED', texts.shown(stderr));
      if (code !== 0)
        throw new CodedError('CLOCK_REFUSED', texts.shown(stderr) || 'the station refused to slew its clock');
    },
  };
}

export function commandsAt(parts: StationParts): Commands {
  const { profile, program, texts, options, run } = parts;
  return {
    ...slewing(parts),

    async readClock(signal) {
      const { code, stdout, stderr } = await run(profile.readClock(), signal);
      if (code !== 0) throw unreachable(`the clock cannot be read: ${texts.shown(stderr)}`);
      return readClockText(stdout);
    },

    async setClock(time, signal) {
      const argv = profile.setClock(time);
      const seconds = (time.getTime() / 1000).toFixed(3);
      const { code, stderr } = argv
        ? await run(argv, signal)
        : await program.ask('set-clock', [seconds], options(signal));
      if (code !== 0)
        throw new CodedError('CLOCK_REFUSED', texts.shown(stderr) || 'the station refused to set its clock');
    },

    async configureNetwork({ interfaceName, apn, vpn }, signal) {
      const argv = profile.network(interfaceName);
      if (!argv) throw new CodedError('NOT_SUPPORTED', 'networks are not configured at this station');
      // Not an argument: those can be read by everybody at the station.
      const said = withoutSecrets(texts, { apn, vpn });
      const request = JSON.stringify({ interface: interfaceName, apn, vpn });
      const { code, stdout, stderr } = await run(argv, signal, { input: `${request}\n`, texts: said });
      if (code !== 0)
        throw new CodedError('NETWORK_FAILED', said.shown(stderr) || 'the station could not prepare the interface');
      const { address, checkpoint } = readLines(stdout);
      // Over a connection that is there now: otherwise the station takes it back.
      const keep = checkpoint === undefined ? undefined : profile.keepNetwork?.(checkpoint);
      const kept = keep && (await run(keep, signal, { texts: said }));
      if (kept && kept.code !== 0)
        throw new CodedError('NETWORK_FAILED', `it was taken back: ${said.shown(kept.stderr)}`);
      return { interfaceAddress: address ?? interfaceName };
    },
  };
}
