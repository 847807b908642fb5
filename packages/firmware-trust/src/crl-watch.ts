/**
 * Revocation lists age while nobody looks. What can still be said with those at hand is logged when they are read and
 * whenever it changes, and counted.
 */
import type { Logger } from '@khumbu/shared/runtime/logger';
import { type Crl, crlObstacle } from './crl.js';
import type { Strength } from './strength.js';

export interface CrlWatchOptions {
  readonly crls: () => readonly Crl[];
  readonly strength: Strength;
  readonly now: () => Date;
  readonly log: Pick<Logger, 'warn' | 'info'>;
}

const LOOK_MS = 60_000;

export function watchCrls({ crls, strength, now, log }: CrlWatchOptions) {
  /** Since they were read. */
  const told = new WeakMap<Crl, string | undefined>();
  const states = (): { crl: Crl; obstacle: string | undefined }[] => {
    const at = now();
    return crls().map((crl) => ({ crl, obstacle: crlObstacle(crl, at, strength) }));
  };
  const look = (): void => {
    for (const { crl, obstacle } of states()) {
      const before = told.get(crl);
      if (before === obstacle) continue;
      told.set(crl, obstacle);
      const { thisUpdate, nextUpdate } = crl;
      const what = { issuer: crl.issuer.commonNames.join(', '), thisUpdate, nextUpdate };
      if (obstacle === undefined) log.info(what, 'a CRL can be used now');
      else log.warn({ ...what, reason: obstacle }, 'a CRL does not say any more, or not yet, what is not revoked');
    }
  };
  look();
  const timer = setInterval(look, LOOK_MS).unref();
  return {
    /** How many say which certificates are revoked, and how many do not, or not any more. */
    count(): { readonly current: number; readonly unusable: number } {
      const all = states();
      const current = all.filter(({ obstacle }) => obstacle === undefined).length;
      return { current, unusable: all.length - current };
    },
    /** Look now. */
    look,
    stop: (): void => clearInterval(timer),
  };
}
export type CrlWatch = ReturnType<typeof watchCrls>;
