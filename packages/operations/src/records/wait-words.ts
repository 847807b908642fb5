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

export const WAITS = {
  answer: { meaning: 'Its answer is on its way to whoever asked.', limit: 'deadline', liftedBy: ['gateway'] },
  successor: {
    meaning: 'Another operation that would take its place is just being answered.',
    limit: 'successor',
    liftedBy: ['gateway'],
  },
  retrieve_timestamp: {
    meaning: 'The date at which the image is to be fetched (`retrieve_timestamp`).',
    limit: 'retrieve',
    liftedBy: ['time'],
  },
  install_timestamp: {
    meaning: 'The date at which the image is to be installed (`install_timestamp`).',
    limit: 'install',
    liftedBy: ['time'],
  },
  announcement: {
    meaning:
      'EVerest is told that the image is ready shortly before `install_timestamp`; until then its connectors stay in use.',
    limit: 'hold',
    liftedBy: ['time'],
  },
  worker: { meaning: 'A worker that takes it up.', limit: 'deadline', liftedBy: ['worker'] },
  retry: { meaning: 'The pause before the next try.', limit: 'pause', liftedBy: ['time'] },
  retry_after: {
    meaning: 'The pause that the other server asked for (`Retry-After`).',
    limit: 'pause',
    liftedBy: ['time', 'origin'],
  },
  permission: {
    meaning: 'Permission to install: EVerest’s `allow_firmware_installation`, or `allow-installation` over REST.',
    limit: 'deadline',
    liftedBy: ['everest', 'operator'],
  },
  permission_unobtainable: {
    meaning: 'Permission to install, which this EVerest may never send because it restarted: allow it over REST.',
    limit: 'deadline',
    liftedBy: ['operator', 'everest'],
  },
  station_away: {
    meaning:
      'EVerest at the station is not heard: its permission counts again when the same boot is heard, a new boot is asked for it again.',
    limit: 'deadline',
    liftedBy: ['everest', 'operator'],
  },
  station_never_heard: {
    meaning: 'EVerest at the station was never heard: nothing is installed there before.',
    limit: 'deadline',
    liftedBy: ['everest'],
  },
  station_conflict: {
    meaning: 'Two stations use this identity: one of them has to be renamed or stopped.',
    limit: 'deadline',
    liftedBy: ['operator', 'station'],
  },
  reset_reservation: {
    meaning: 'EVerest was told that it may reset, and may do so any moment.',
    limit: 'pause',
    liftedBy: ['time', 'everest'],
  },
  reset: { meaning: 'A reset of the station is under way.', limit: 'deadline', liftedBy: ['station', 'worker'] },
  install: {
    meaning: 'An installation at the station is under way.',
    limit: 'deadline',
    liftedBy: ['station', 'worker'],
  },
  new_boot: { meaning: 'EVerest is to be heard in a new boot.', limit: 'deadline', liftedBy: ['everest', 'station'] },
  station_busy: {
    meaning: 'The station is still at what was begun there, and has not said that this is over.',
    limit: 'deadline',
    liftedBy: ['station', 'operator'],
  },
  station_unreachable: {
    meaning: 'The host of the station cannot be reached.',
    limit: 'deadline',
    liftedBy: ['station', 'operator'],
  },
  error: {
    meaning: 'Something unexpected went wrong (`detail`); it is tried again.',
    limit: 'pause',
    liftedBy: ['time', 'operator'],
  },
  download: {
    meaning: 'The image is being fetched.',
    limit: 'deadline',
    liftedBy: ['worker', 'origin'],
    atWork: true,
  },
  verification: { meaning: 'The signature is being checked.', limit: 'deadline', liftedBy: ['worker'], atWork: true },
  installation: {
    meaning: 'The station is installing the image.',
    limit: 'deadline',
    liftedBy: ['station', 'worker'],
    atWork: true,
  },
  reboot: {
    meaning: 'The station is restarting into the new image.',
    limit: 'deadline',
    liftedBy: ['station', 'worker'],
    atWork: true,
  },
  restart: {
    meaning: 'The station is being reset.',
    limit: 'deadline',
    liftedBy: ['station', 'worker'],
    atWork: true,
  },
  upload: {
    meaning: 'The archive is being made and sent.',
    limit: 'deadline',
    liftedBy: ['worker', 'station', 'origin'],
    atWork: true,
  },
  network: {
    meaning: 'The network interface is being prepared.',
    limit: 'deadline',
    liftedBy: ['worker', 'station'],
    atWork: true,
  },
  clock: { meaning: 'The clock is being set.', limit: 'told', liftedBy: ['worker', 'station'], atWork: true },
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
