/** Which values the placeholders of commands may have, as POSIX extended regular expressions. None matches a blank. Pure. */

/** A text that stands for itself. */
export const inExtended = (text: string): string => text.replace(/[.[\]()*+?{}|^$\\]/g, '\\$&');

const TIME = '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z';

const EXPIRES = '[0-9]{1,12}';
const SIGNATURE = '[A-Za-z0-9_-]{43}';

/** By the name of the placeholder; of a URL, by those of its parameters, too. */
export const VALUE_PATTERNS = (stateDir: string): Readonly<Record<string, string>> => ({
  image: `${inExtended(stateDir)}/images/[0-9a-f]{64}`,
  url: `https?://[]A-Za-z0-9.:[-]{1,255}/v1/firmware-artifacts/[0-9a-f]{64}/content\\?expires=${EXPIRES}&signature=${SIGNATURE}`,
  expires: EXPIRES,
  signature: SIGNATURE,
  sha256: '[0-9a-f]{64}',
  size: '[0-9]{1,15}',
  operation: '[A-Za-z0-9][A-Za-z0-9._-]{0,127}',
  time: TIME,
  seconds: '@[0-9]{1,12}\\.[0-9]{3}',
  offset: '-?[0-9]{1,12}\\.[0-9]{3}',
  microseconds: '-?[0-9]{1,15}',
  // Which boot of a journal.
  boot: '_BOOT_ID=[0-9a-f]{32}',
  type: '(DiagnosticsLog|SecurityLog)',
  // Absent bounds are empty.
  oldest: `(${TIME})?`,
  latest: `(${TIME})?`,
  interface: '[A-Za-z0-9][A-Za-z0-9._:@-]{0,31}',
  // Of a variable of the bootloader.
  value: '[!-~]{1,200}',
  device: '/org/freedesktop/NetworkManager/Devices/[0-9]{1,10}',
  checkpoint: '/org/freedesktop/NetworkManager/Checkpoint/[0-9]{1,10}',
  slot: '[A-Za-z0-9_-]{1,32}\\.[0-9]{1,4}',
});
