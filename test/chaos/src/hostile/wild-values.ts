/** Values, reply topics and names that have caused faults elsewhere. */
import type { Random } from '../random.js';

/** The broker takes no longer payload. */
export const LARGEST_BYTES = 262_144;

/** JSON texts, or what only looks like one. */
export const WILD_VALUES: readonly string[] = [
  '1e400',
  '-1e400',
  '-0',
  '0.5',
  '7.0',
  '1e-7',
  '1E+2',
  '2147483647',
  '2147483648',
  '-2147483648',
  '-2147483649',
  '9223372036854775807',
  '-9223372036854775809',
  '18446744073709551616',
  '1e308',
  '4294967303',
  '-1',
  '01',
  '+1',
  '.5',
  '0x10',
  'NaN',
  'Infinity',
  '"NaN"',
  '"7"',
  '"true"',
  'null',
  'true',
  'false',
  '[]',
  '{}',
  '[[[]]]',
  '""',
  '" "',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\u0000"',
  '"\\ufeff"',
  '"\\uffff"',
  '"\\u001b[2J"',
  "'single'",
  '{',
  '{"toString":1,"hasOwnProperty":1,"length":-1}',
  '{"then":1}',
  '"../../../etc/passwd"',
  '"file:///etc/passwd"',
  '"0000-00-00T00:00:00Z"',
  '"+275760-09-13T00:00:00.001Z"',
  '"2016-12-31T23:59:60Z"',
  '"9999-12-31T23:59:59Z"',
  '"soft"',
  '"Soft "',
  '"SOFT"',
  '["Soft"]',
  '{"0":"Soft"}',
  `"${'x'.repeat(5000)}"`,
  `"${'\\u0000'.repeat(500)}"`,
];

const text = (value: string): string => JSON.stringify(value);

/** JSON texts for `headers.replyTo`, made from the honest one: every one of them leads out of the station's own. */
export const REPLY_TO_TRICKS: readonly ((honest: string) => string)[] = [
  (honest) => text(honest.replace('/system/', '/system/cs-1-')),
  (honest) => text(honest.replace(/system\/[^/]*\//, 'system/cs-1/')),
  (honest) => text(honest.replace('/m2e/reply/', '/e2m/get_boot_reason')),
  (honest) => text(honest.replace(/\/m2e\/reply\/.*/, '/e2m/reset')),
  (honest) => text(honest.replace(/\/m2e\/reply\/.*/, '/m2e/firmware_update_status')),
  (honest) => text(honest.replace(/[^/]*$/, '#')),
  (honest) => text(honest.replace(/[^/]*$/, '+')),
  (honest) => text(honest.replace(/[^/]*$/, '')),
  (honest) => text(`${honest}/deeper`),
  (honest) => text(honest.replace(/[^/]*$/, '../../x')),
  (honest) => text(`depot/cs-1/${honest}`),
  (honest) => text(`/${honest}`),
  (honest) => text(` ${honest}`),
  (honest) => text(`${honest}${'x'.repeat(200)}`),
  (honest) => text(`${honest}${'x'.repeat(70_000)}`),
  (honest) => text(`${honest}\u0000`),
  (honest) => text(`${honest}\u0085`),
  (honest) => text(`${honest}\ufffe`),
  (honest) => text(`${honest}\ufdd0`),
  (honest) => text(`${honest}\u{1ffff}`),
  (honest) => `${text(honest).slice(0, -1)}\\ud800"`,
  (honest) => `${text(honest).slice(0, -1)}\\udc00x"`,
  (honest) => `[${text(honest)}]`,
  (honest) => `{"toString":${text(honest)}}`,
  () => text('$SYS/broker/uptime'),
  () => text('$SYS/#'),
  () => text('#'),
  () => text('+/+'),
  () => text('khumbu/fence/khumbu-khumbu'),
  () => text('everest_api/query-modules/system'),
  () => text('everest_api/ready_beacon'),
  () => text('everest_api/khumbu/discovered/latched-boot_notification_response-cs-1'),
  () => text('a'.repeat(66_000)),
  () => text('\u0000'),
  () => text(''),
  () => 'null',
  () => '0',
  () => 'true',
  () => '{}',
];

const PIECES: readonly string[] = [
  'cs',
  ' ',
  '..',
  '$',
  '%',
  '%2F',
  '{station}',
  'é',
  '日本',
  '\u{1f50b}',
  '\u202e',
  '\u200b',
  ':',
  '*',
  '"',
];
const MORE = ["'", '\\', '`', '?', '&', '=', '__proto__', 'constructor', 'null', '0', '-1', 'system', 'm2e', '@', '~'];

/** A topic level that the broker takes; `number` makes it unlike all others. */
export function wildName(random: Random, number: number): string {
  const pieces = Array.from({ length: random.between(0, 3) }, () => random.pick([...PIECES, ...MORE]));
  const name = `${pieces.join('')}${number.toString(36)}`;
  if (random.chance(0.01)) return `${name}${'long'.repeat(random.between(32, 4000))}`;
  return random.chance(0.5) ? name : `${number.toString(36)}${pieces.join('')}`;
}

/** What stands below a station's prefix and is no request of a `system_API`; without wildcards, as a topic must be. */
export function wildTopic(random: Random, name: string, leaf: string): string {
  const own = `everest_api/1/system/${name}`;
  return random.pick([
    `everest_api/2/system/${name}/e2m/${leaf}`,
    `everest_api//system/${name}/e2m/${leaf}`,
    `everest_api/1/display_message/${name}/e2m/${leaf}`,
    `everest_api/1/ocpp_consumer/${name}/e2m/boot_notification_response`,
    `everest_api/1/ocpp_consumer/${name}/e2m/connection_status`,
    `everest_api/1/system//e2m/${leaf}`,
    `${own}/e2m/${leaf}/`,
    `${own}/e2m/`,
    `${own}/e2m/${leaf}/${leaf}`,
    `${own}/e2m/__proto__`,
    `${own}/e2m/toString`,
    `${own}/e2m/communication_check`,
    `${own}/m2e/communication_check`,
    `${own}/m2e/firmware_update_status`,
    `${own}/m2e/reply/${name}`,
    `/${own}/e2m/${leaf}`,
    'everest_api/ready_beacon',
    'everest_api/discover',
    'everest_api/query-modules/system',
    `everest_api/khumbu/discovered/${name}`,
    'everest_api/khumbu/discovered/latched-boot_notification_response-cs-1',
    'everest_api/khumbu/discovered/latched-connection_status-cs-2',
    'khumbu/fence/khumbu-khumbu',
  ]);
}
