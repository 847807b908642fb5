/** What a driver of a real station is made of. */
import type { Profile } from '../profiles/profile.js';
import type { StationText } from '../station-text.js';
import type { Transport } from '../transports/transport.js';
import type { CallOptions, CallResult } from './call.js';
import type { Limits } from './entry-settings.js';
import type { StationProgram } from './station-program.js';

/** `texts`: in place of those of the station, for what it may say of its input. */
type RunMore = Pick<CallOptions, 'input' | 'texts'>;

export interface StationParts {
  readonly stateDir: string;
  /** A command in place of the kernel's boot id; empty: none. */
  readonly bootId: readonly string[];
  readonly limits: Limits;
  readonly transport: Transport;
  readonly profile: Profile;
  readonly program: StationProgram;
  /** For whatever the station says that people may see. */
  readonly texts: StationText;
  /** For what the station program does at once. */
  readonly options: (signal: AbortSignal) => CallOptions;
  /** A command of the profile that is no effect. */
  readonly run: (argv: readonly string[], signal: AbortSignal, more?: RunMore) => Promise<CallResult>;
}
