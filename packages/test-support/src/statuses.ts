/** The statuses of a firmware update that succeeds, and how they are judged: a repeat directly after itself is allowed. */

export const SIGNED = [
  'Downloading',
  'Downloaded',
  'SignatureVerified',
  'Installing',
  'InstallRebooting',
  'Installed',
] as const;
export const UNSIGNED = SIGNED.filter((status) => status !== 'SignatureVerified');
/** OCPP 1.6 without an id knows no more. */
export const PLAIN = ['Downloading', 'Downloaded', 'Installing', 'Installed'] as const;

/** The names in their order, without those that repeat the one before. */
export const withoutRepeats = (names: readonly string[]): string[] =>
  names.filter((name, index) => name !== names[index - 1]);

/**
 * The names without repeats and without the `InstallScheduled` that says that a permission takes longer than seconds: on a
 * busy machine, or where a process is killed meanwhile, it does. Once, and directly behind `SignatureVerified`: anywhere
 * else it stays.
 */
export function withoutDelayedPermission(names: readonly string[]): string[] {
  const once = withoutRepeats(names);
  const at = once.indexOf('InstallScheduled');
  return at > 0 && once[at - 1] === 'SignatureVerified'
    ? withoutRepeats(once.filter((_name, index) => index !== at))
    : once;
}
