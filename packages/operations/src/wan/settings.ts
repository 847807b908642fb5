/** The settings of the link to the world, the same for all services of a depot. */

import { whole } from '@khumbu/shared/runtime/config';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { type Static, Type } from 'typebox';
import { type DailyWindow, isTimeZone, readWindows } from './download-window.js';

/** Of every service that sends or receives over the WAN. */
export const WAN_LINK_SETTINGS = {
  DEPOT_TIME_ZONE: Type.String({
    default: 'UTC',
    description: 'Time zone of the depot, as Europe/Berlin: of DOWNLOAD_WINDOW, and of the months of budgets.',
  }),
  WAN_RATE_LIMIT_BYTES_PER_S: whole(
    0,
    0,
    'Bytes per second that all downloads, and log archives to servers, use together, on all workers; 0: no limit. The depot’s own object store is not counted.',
  ),
} as const;

export const WAN_SETTINGS = {
  ...WAN_LINK_SETTINGS,
  WAN_MONTH_BUDGET_BYTES: whole(
    0,
    0,
    'Bytes per month, of images and log archives; a download that would exceed them waits. 0: no limit. REST can change it for one month.',
  ),
  WAN_UPDATE_BUDGET_BYTES: whole(
    0,
    0,
    'Bytes that one update may fetch, all tries together; then it waits for an operator. 0: no limit.',
  ),
  DOWNLOAD_WINDOW: Type.Array(
    Type.String({ pattern: '^([01]\\d|2[0-3]):[0-5]\\d-(([01]\\d|2[0-3]):[0-5]\\d|24:00)$' }),
    {
      default: [],
      description:
        'Comma-separated times of day between which images are fetched, as 22:00-06:00, by the clock of DEPOT_TIME_ZONE; empty: always.',
    },
  ),
  DOWNLOAD_START_SPREAD_S: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 86_400,
    description:
      'Seconds within which each download begins at a random time, so that many of one server do not begin at once; 0: at once.',
  }),
} as const;

const Settings = Type.Object(WAN_SETTINGS);
export type WanSettings = Readonly<Static<typeof Settings>>;

/** What the settings say; absent: no limit. */
export interface WanRules {
  readonly timeZone: string;
  readonly rateBytesPerS?: number;
  readonly monthBudgetBytes?: number;
  readonly updateBudgetBytes?: number;
  /** None: always open. */
  readonly windows: readonly DailyWindow[];
  readonly startSpreadS: number;
}

const limit = <K extends string>(name: K, value: number): { readonly [N in K]?: number } =>
  value === 0 ? {} : ({ [name]: value } as { readonly [N in K]?: number });

/** For archives of logs, which nothing but the rate holds back. Throws `CONFIG_INVALID`. */
export function wanLink({
  DEPOT_TIME_ZONE: timeZone,
  WAN_RATE_LIMIT_BYTES_PER_S: rate,
}: Pick<WanSettings, keyof typeof WAN_LINK_SETTINGS>): WanRules {
  if (!isTimeZone(timeZone))
    throw new CodedError('CONFIG_INVALID', 'DEPOT_TIME_ZONE: write the name of a time zone, as Europe/Berlin or UTC');
  return { timeZone, windows: [], startSpreadS: 0, ...limit('rateBytesPerS', rate) };
}

/** Throws `CONFIG_INVALID`. */
export const wanRules = (settings: WanSettings): WanRules => ({
  ...wanLink(settings),
  ...limit('monthBudgetBytes', settings.WAN_MONTH_BUDGET_BYTES),
  ...limit('updateBudgetBytes', settings.WAN_UPDATE_BUDGET_BYTES),
  windows: readWindows(settings.DOWNLOAD_WINDOW),
  startSpreadS: settings.DOWNLOAD_START_SPREAD_S,
});
