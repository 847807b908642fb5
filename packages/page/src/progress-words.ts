/** How far something is, in words: what REST and events tell of it, nothing reckoned. Pure. */
import type { Operation } from '@khumbu/client/generated/rest-api';
import { bytesText, spanText } from './formats.js';
import { en } from './texts.js';

type Told = Omit<NonNullable<Operation['progress']>, 'at'>;

const bytesWords = ({ bytes, totalBytes }: Told): string | undefined => {
  if (bytes === undefined) return undefined;
  if (totalBytes === undefined) return en.progress.bytesOnly(bytesText(bytes));
  return en.progress.bytes(bytesText(bytes), bytesText(totalBytes));
};

export function progressWords(told: Told): readonly string[] {
  const { percent, records, bytesPerS, remainingS } = told;
  const words = [
    percent === undefined ? undefined : `${percent} %`,
    bytesWords(told),
    records === undefined ? undefined : en.progress.records(records),
    bytesPerS === undefined ? undefined : en.progress.rate(bytesText(bytesPerS)),
    remainingS === undefined ? undefined : en.progress.left(spanText(remainingS)),
  ];
  return words.filter((word) => word !== undefined);
}

/** Of a hundred; `undefined`: not known. */
export function progressShare({ percent, bytes, totalBytes }: Told): number | undefined {
  if (percent !== undefined) return percent;
  return bytes !== undefined && totalBytes ? Math.round((bytes / totalBytes) * 100) : undefined;
}
