/**
 * The gate of a forced command: a script that lets a key do at a station what the driver of its entry does there, and nothing
 * else. What comes is compared with patterns before a shell reads it. Pure.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { lookArgvs } from '../check/check-station.js';
import { commandArgv } from '../logs/command-source.js';
import { logCalls } from '../logs/logs-script.js';
import { plannedSources } from '../logs/planned-sources.js';
import { LOG_TYPES } from '../port.js';
import { imageWord, type Profile } from '../profiles/profile.js';
import type { Limits } from '../station/entry-settings.js';
import type { StationProgram } from '../station/station-program.js';
import { quoteArgv } from '../transports/ssh/quote.js';
import type { Transport } from '../transports/transport.js';
import { inExtended, VALUE_PATTERNS } from './value-patterns.js';

const TEMPLATE = readFileSync(new URL('../../../station/khumbu-gate.sh', import.meta.url), 'utf8');

export interface GateParts {
  readonly station: string;
  readonly entry: RealDriverEntry;
  readonly stateDir: string;
  readonly limits: Limits;
  readonly profile: Profile;
  readonly program: StationProgram;
  readonly transport: Transport;
  readonly bootId: readonly string[];
}

/** Values that occur nowhere else, each replaced by the pattern of what may stand there. All are plain words when quoted. */
const HASH = 'c0ffee11'.repeat(8);
const SIZE = 987_654_321_012_345;
const EXPIRES = '214748364799';
const SIGNATURE = 'khumbu-value-signature'.padEnd(43, '-');
const CONTENT = `/v1/firmware-artifacts/${HASH}/content?expires=${EXPIRES}&signature=${SIGNATURE}`;
const OPERATION = 'khumbu-value-operation';
const NONCE = 'khumbu-value-nonce';
const OFFSET = 'khumbu-value-offset';
const SECONDS = 'khumbu-value-seconds';
const MICROSECONDS = 'khumbu-value-microseconds';
const INTERFACE = 'khumbu-value-interface';
const CHECKPOINT = 'khumbu-value-checkpoint';
const SET_TO = new Date(Date.UTC(2038, 0, 19, 3, 14, 7, 101));
const OLDEST = new Date(Date.UTC(2038, 0, 19, 3, 14, 7, 102));
const LATEST = new Date(Date.UTC(2038, 0, 19, 3, 14, 7, 103));
const SLEW_MS = 123_456_789;

const bound = (time: string): string => `(''|${time})`;

function patternOf(argv: readonly string[], stateDir: string): string {
  const {
    sha256,
    size,
    operation,
    time,
    seconds,
    offset,
    microseconds,
    interface: name,
    checkpoint,
    expires,
    signature,
  } = VALUE_PATTERNS(stateDir);
  const values: readonly (readonly [text: string, pattern: string | undefined])[] = [
    [HASH, sha256],
    [String(SIZE), size],
    [EXPIRES, expires],
    [SIGNATURE, signature],
    [OPERATION, operation],
    [NONCE, '[A-Za-z0-9-]{1,64}'],
    [OFFSET, '([0-9]{1,15}|-)'],
    [SECONDS, '[0-9]{1,12}\\.[0-9]{3}'],
    [MICROSECONDS, microseconds],
    [INTERFACE, name],
    [CHECKPOINT, checkpoint],
    [SET_TO.toISOString(), time],
    [`@${(SET_TO.getTime() / 1000).toFixed(3)}`, seconds],
    [OLDEST.toISOString(), bound(time ?? '')],
    [LATEST.toISOString(), bound(time ?? '')],
    [(SLEW_MS / 1000).toFixed(3), offset],
    [String(SLEW_MS * 1000), microseconds],
  ];
  return values.reduce(
    (text, [value, pattern]) => text.replaceAll(inExtended(value), () => pattern ?? ''),
    inExtended(quoteArgv(argv)),
  );
}

/** Every argument vector that the driver sends, with values in it. */
function sentArgvs({ entry, stateDir, limits, profile, program }: GateParts): readonly (readonly string[])[] {
  const evidence = profile.evidence();
  const steps = {
    install: [
      limits.installS,
      imageWord(profile, HASH),
      profile.install({
        operationId: OPERATION,
        imagePath: `${stateDir}/images/${HASH}`,
        ...(profile.pullsFrom === undefined ? {} : { imageUrl: `${profile.pullsFrom}${CONTENT}` }),
        sha256: HASH,
        sizeBytes: SIZE,
      }),
    ],
    reboot: [limits.rebootS, '-', profile.reboot(OPERATION)],
    restart: [limits.restartS, '-', profile.restart(OPERATION)],
  } as const;
  const starts = Object.entries(steps).map(([step, [limitS, image, argv]]) => {
    const limit = String(limitS);
    const probe = [String(evidence.length), ...evidence];
    return program.argvOf('start', [OPERATION, step, limit, limit, image, NONCE, ...probe, ...argv]);
  });
  const run = (argv: readonly string[] | undefined, limitS: number): readonly (readonly string[])[] =>
    argv ? [program.argvOf('run', [NONCE, String(limitS), ...argv])] : [];
  const logs = LOG_TYPES.flatMap((type) =>
    plannedSources(entry, type).flatMap((source) =>
      source.kind === 'command' ? [commandArgv(source.argv, { type, oldest: OLDEST, latest: LATEST })] : [],
    ),
  );
  const lists = logCalls(stateDir, entry);
  return [
    ...program.puts,
    ...starts,
    ...Object.keys(steps).map((step) => program.argvOf('observe-effect', [`${OPERATION}.${step}`])),
    program.argvOf('observe', [NONCE, String(limits.commandS), ...evidence]),
    program.argvOf('retire', [OPERATION]),
    program.argvOf('put', [HASH, String(SIZE), OFFSET]),
    program.argvOf('set-clock', [SECONDS]),
    program.argvOf('slew-clock', [MICROSECONDS]),
    program.argvOf('missing', []),
    program.argvOf('end-run', [NONCE]),
    ...run(profile.recover?.(OPERATION), limits.commandS),
    ...run(profile.readClock(), limits.commandS),
    ...run(profile.setClock(SET_TO), limits.commandS),
    ...run(profile.slewClock?.(SLEW_MS), limits.commandS),
    ...run(profile.network(INTERFACE), limits.commandS),
    ...run(profile.keepNetwork?.(CHECKPOINT), limits.commandS),
    ...logs.flatMap((argv) => run(argv, limits.logsS)),
    ...lists.flatMap((argv) => [...run(argv, limits.logsS), ...run(argv, limits.commandS)]),
  ];
}

/** The script, whole: it is put to the station as it is. It counts for this version of Khumbu and this entry alone. */
export function gateOf(parts: GateParts): string {
  const { latency, look } = lookArgvs(parts);
  const patterns = [...sentArgvs(parts), latency].map((argv) => patternOf(argv, parts.stateDir));
  const sum = createHash('sha256').update(quoteArgv(look)).digest('hex');
  return TEMPLATE.replace('@STATION@', () => parts.station)
    .replace('@LOOK@', () => sum)
    .replace('@PATTERNS@', () => [...new Set(patterns)].join('\n'));
}
