/** Names of parts that any archive and any file system can have, from paths that somebody else chose. Pure. */

const LONGEST = 100;

const plain = (text: string): string =>
  text
    .replaceAll(/[^A-Za-z0-9._-]+/g, '_')
    .replaceAll(/\.{2,}/g, '.')
    .replace(/^[.-]+/, '_')
    .slice(-LONGEST)
    .replace(/^[.-]/, '_') || '_';

/** Gives out each name once: `a.log`, `a.log-2`. Names that differ in their case alone count as the same one. */
export function createPlainNames(): (text: string) => string {
  const taken = new Set<string>();
  return (text) => {
    const base = plain(text);
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? base : `${base}-${number}`;
      if (taken.has(name.toLowerCase())) continue;
      taken.add(name.toLowerCase());
      return name;
    }
  };
}
