/** Boots of a journal: what is known of each, and in which order they were written. Pure. */

export interface Boot {
  readonly id: string;
  /** Which numbering of the journal its first record has, and its number there. */
  readonly numbering: string;
  readonly number: bigint;
  /** Of its first record. Microseconds of the station's clock then. */
  readonly firstMicros: number;
  /** Of its last one; infinite: it is not known. */
  readonly lastMicros: number;
  /** Between them, whatever the clock says. Infinite: it is not known. */
  readonly passedMicros: number;
}

const BOOT_ID = /^[0-9a-f]{32}$/;

/** A section `boot` of the listing: the id, and the heads of its first and last record in the export format. `undefined`: it is none. */
export function readBoot(section: string): Boot | undefined {
  const [id = '', ...fields] = section.split('\n');
  const valuesOf = (name: string): readonly string[] =>
    fields.filter((field) => field.startsWith(`${name}=`)).map((field) => field.slice(name.length + 1));
  const [first, last] = valuesOf('__REALTIME_TIMESTAMP');
  const [begun, ended] = valuesOf('__MONOTONIC_TIMESTAMP');
  const [, numbering = '', number = '0'] = /^__CURSOR=s=([0-9a-f]{1,32});i=([0-9a-f]{1,16});/m.exec(section) ?? [];
  const firstMicros = Number(first);
  if (!BOOT_ID.test(id) || first === undefined || !Number.isSafeInteger(firstMicros)) return undefined;
  const lastMicros = last === undefined ? Number.POSITIVE_INFINITY : Number(last);
  const passedMicros = ended === undefined ? Number.POSITIVE_INFINITY : Number(ended) - Number(begun);
  if (Number.isNaN(lastMicros) || Number.isNaN(passedMicros)) return undefined;
  return { id, numbering, number: BigInt(`0x${number}`), firstMicros, lastMicros, passedMicros };
}

const byNumber = (a: Boot, b: Boot): number => (a.number < b.number ? -1 : a.number > b.number ? 1 : 0);

/**
 * In the order of writing. Boots that share a numbering have numbers that tell, also where the clock was set back from one to the
 * next; journals that were numbered anew come by the clock of their first record. The list that journalctl gives is by the clock.
 */
export function inOrderOfWriting(boots: readonly Boot[]): readonly Boot[] {
  const numberings = new Map<string, Boot[]>();
  for (const boot of boots) numberings.set(boot.numbering, [...(numberings.get(boot.numbering) ?? []), boot]);
  return [...numberings.values()]
    .map((group) => group.toSorted(byNumber))
    .toSorted((a, b) => (a[0]?.firstMicros ?? 0) - (b[0]?.firstMicros ?? 0))
    .flat();
}
