/**
 * What an operation can wait for: every word once, with what it means, how long the wait lasts at most, and who can end
 * it. Records, events and REST take their words from this table, so that a misspelt one does not compile.
 */

/** Who can end a wait. */
export const LIFTERS = {
  everest: 'EVerest at the station, by what it sends over MQTT.',
  operator: 'A person or a fleet tool over REST, or whoever runs the depot.',
  station: 'The host of the station.',
  origin: 'The server that has the image, or that takes the archive.',
  worker: 'One of the depot’s workers.',
  gateway: 'A gateway of the depot.',
  time: 'Nobody: it passes by itself.',
} as const;
export type Lifter = keyof typeof LIFTERS;

/**
 * What limits a wait. `deadline`: the operation’s own, after which it has ended. `pause`: the next try or look. `successor`: the
 * other operation’s own deadline. `retrieve`, `install`: the date that was asked for. `hold`: when the status is sent that was
 * held back. `told`: a time of the CSMS grows too old to be set. The kind knows these dates (`WaitRules.until`).
 */
type Limit = 'deadline' | 'pause' | 'successor' | 'retrieve' | 'install' | 'hold' | 'told';

interface Wait {
  /** What must come to pass. */
  readonly meaning: string;
  readonly limit: Limit;
  readonly liftedBy: readonly Lifter[];
  /** A worker or the station is at it: there is nothing to wait for but the end of that. */
  readonly atWork?: true;
}

const wait = (meaning: string, limit: Limit, ...liftedBy: Lifter[]): Wait => ({ meaning, limit, liftedBy });
const atWork = (...row: Parameters<typeof wait>): Wait => ({ ...wait(...row), atWork: true });

export const WAITS = {
  answer: wait('Its answer is on its way to whoever asked.', 'deadline', 'gateway'),
  successor: wait('Another operation that would take its place is just being answered.', 'successor', 'gateway'),
  retrieve_timestamp: wait('The date at which the image is to be fetched (`retrieve_timestamp`).', 'retrieve', 'time'),
  install_timestamp: wait('The date at which the image is to be installed (`install_timestamp`).', 'install', 'time'),
  announcement: wait(
    'EVerest is told that the image is ready shortly before `install_timestamp`; until then its connectors stay in use.',
    'hold',
    'time',
  ),
  worker: wait('A worker that takes it up.', 'deadline', 'worker'),
  retry: wait('The pause before the next try.', 'pause', 'time'),
  retry_after: wait('The pause that the other server asked for (`Retry-After`).', 'pause', 'time', 'origin'),
  operator_pause: wait('An operator has paused its download: `resume` over REST.', 'deadline', 'operator'),
  depot_pause: wait('An operator has paused all downloads: `/v1/wan/resume` over REST.', 'deadline', 'operator'),
  download_window: wait(
    'The time of day at which images are fetched (`DOWNLOAD_WINDOW`), or `download-now` over REST.',
    'pause',
    'time',
    'operator',
  ),
  month_budget: wait(
    'The next month: the image would exceed the bytes of this one. Or a larger budget, or `download-now`, over REST.',
    'pause',
    'operator',
    'time',
  ),
  update_budget: wait(
    'It has fetched as much as one update may (`WAN_UPDATE_BUDGET_BYTES`): `download-now` over REST.',
    'deadline',
    'operator',
  ),
  start_spread: wait('Downloads begin at random times (`DOWNLOAD_START_SPREAD_S`), not all at once.', 'pause', 'time'),
  permission: wait(
    'Permission to install: EVerest’s `allow_firmware_installation`, or `allow-installation` over REST.',
    'deadline',
    'everest',
    'operator',
  ),
  permission_unobtainable: wait(
    'Permission to install, which this EVerest may never send because it restarted: allow it over REST.',
    'deadline',
    'operator',
    'everest',
  ),
  station_away: wait(
    'EVerest at the station is not heard: its permission counts again when the same boot is heard, a new boot is asked for it again.',
    'deadline',
    'everest',
    'operator',
  ),
  station_never_heard: wait(
    'EVerest at the station was never heard: nothing is installed there before.',
    'deadline',
    'everest',
  ),
  station_conflict: wait(
    'Two stations use this identity: one of them has to be renamed or stopped.',
    'deadline',
    'operator',
    'station',
  ),
  reset_reservation: wait('EVerest was told that it may reset, and may do so any moment.', 'pause', 'time', 'everest'),
  reset: wait('A reset of the station is under way.', 'deadline', 'station', 'worker'),
  install: wait('An installation at the station is under way.', 'deadline', 'station', 'worker'),
  new_boot: wait('EVerest is to be heard in a new boot.', 'deadline', 'everest', 'station'),
  station_busy: wait(
    'The station is still at what was begun there, and has not said that this is over.',
    'deadline',
    'station',
    'operator',
  ),
  station_unreachable: wait('The host of the station cannot be reached.', 'deadline', 'station', 'operator'),
  certificate_store: wait(
    'EVerest at the station is to be back, and its certificate store to answer as before the update (`evse_security`).',
    'deadline',
    'everest',
    'operator',
  ),
  error: wait('Something unexpected went wrong (`detail`); it is tried again.', 'pause', 'time', 'operator'),
  download: atWork('The image is being fetched.', 'deadline', 'worker', 'origin'),
  verification: atWork('The signature is being checked.', 'deadline', 'worker'),
  installation: atWork('The station is installing the image.', 'deadline', 'station', 'worker'),
  reboot: atWork('The station is restarting into the new image.', 'deadline', 'station', 'worker'),
  restart: atWork('The station is being reset.', 'deadline', 'station', 'worker'),
  upload: atWork('The archive is being made and sent.', 'deadline', 'worker', 'station', 'origin'),
  network: atWork('The network interface is being prepared.', 'deadline', 'worker', 'station'),
  clock: atWork('The clock is being set.', 'told', 'worker', 'station'),
} as const satisfies Readonly<Record<string, Wait>>;

export type WaitWord = keyof typeof WAITS;
/** As it is stored. */
export type StoredWait = WaitWord | `error: ${string}`;

export const WAIT_WORDS = Object.keys(WAITS) as WaitWord[];

const isWaitWord = (text: string): text is WaitWord => Object.hasOwn(WAITS, text);

/** A row of the table. */
export const waitOfWord = (word: WaitWord): Wait => WAITS[word];

/** A stored wait in its parts. `undefined`: nothing, or a word this version does not know. Pure. */
export function readStoredWait(
  stored: string | undefined,
): { readonly for: WaitWord; readonly detail?: string } | undefined {
  if (stored === undefined) return undefined;
  const [word = '', ...rest] = stored.split(': ');
  if (!isWaitWord(word)) return undefined;
  return { for: word, ...(rest.length === 0 ? {} : { detail: rest.join(': ') }) };
}

/** Since when a record waits, if from now on it waits for this: what it waited for already did not begin anew. Pure. */
export const waitingSince = (
  before: { readonly waitingFor?: string; readonly waitingSince?: number; readonly updatedAt: number },
  next: StoredWait,
  now: { readonly wall: number },
): number =>
  readStoredWait(before.waitingFor)?.for === readStoredWait(next)?.for
    ? (before.waitingSince ?? before.updatedAt)
    : now.wall;
