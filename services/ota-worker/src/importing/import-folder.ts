/**
 * Images on a stick, or in any folder: whole files are taken in as uploads over REST are. A file is whole when it did not
 * change from one look to the next, or when its SHA-256 lies beside it. The folder is only read, so it may be read-only.
 */
import { constants, type ReadStream } from 'node:fs';
import { lstat, open, readdir, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { type TakeInDeps, TakeInError, takeIn } from '@khumbu/artifacts/take-in';
import { broughtKey } from '@khumbu/operations/artifacts/brought-key';
import { type ImportedFile, type Imports, wantsRenewal } from '@khumbu/operations/artifacts/imports';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import { parseLocation } from '@khumbu/shared/locations/location';
import { describeError, ifExists } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';

export interface ImportFolder {
  readonly folder: string;
  readonly takeIn: TakeInDeps;
  readonly imports: Imports;
  readonly ignored: IgnoredParameters;
  /** The depot's time, milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

/** What may lie beside an image: `fw.raucb.sha256` and so on. */
const BESIDE = ['.sha256', '.sig', '.pem', '.location'] as const;
type Beside = Readonly<Record<(typeof BESIDE)[number], string | undefined>>;
const MOST_BYTES_BESIDE = 64 * 1024;
/** A file of which some was read in vain is read again after so long: reading it takes the disk and the processor from others. */
const READ_AGAIN_MS = 60_000;
/** Copies that are under way, as file managers and browsers name them. */
const UNFINISHED = /\.(part|partial|tmp|crdownload|filepart)$/i;

const isImage = (name: string): boolean =>
  !name.startsWith('.') && !UNFINISHED.test(name) && !BESIDE.some((ending) => name.endsWith(ending));

class Refused extends Error {}

/** What a try has come to. */
interface Reading {
  body?: Pick<ReadStream, 'bytesRead'>;
}

/** Sizes in it change from look to look, and are no news. */
const withoutNumbers = (message: string | undefined): string | undefined => message?.replace(/\d+/g, '');

async function textOf(path: string): Promise<string | undefined> {
  const found = await ifExists(lstat(path));
  if (!found?.isFile()) return undefined;
  if (found.size > MOST_BYTES_BESIDE) throw new Refused(`${path} is larger than ${MOST_BYTES_BESIDE} bytes`);
  return readFile(path, 'utf8');
}

/** Throws `Refused`. */
function broughtBy(beside: Beside, ignored: IgnoredParameters) {
  const sha256 = /^\\?([0-9a-f]{64})\b/i.exec(beside['.sha256'] ?? '')?.[1]?.toLowerCase();
  if (beside['.sha256'] !== undefined && sha256 === undefined) throw new Refused('.sha256 begins with no SHA-256');
  const [signature, certificatePem] = [beside['.sig']?.trim(), beside['.pem']];
  if ((signature === undefined) !== (certificatePem === undefined))
    throw new Refused('.sig without .pem, or the reverse');
  const location = beside['.location']?.trim();
  const parsed = location === undefined ? undefined : parseLocation(location);
  if (parsed?.ok === false) throw new Refused(`.location: ${parsed.reason}`);
  return {
    sha256,
    signed:
      signature === undefined || certificatePem === undefined
        ? undefined
        : { signatureBase64: signature, certificatePem },
    ...(location === undefined ? {} : { locationKey: broughtKey(location, ignored) }),
  };
}

export function createImportFolder(options: ImportFolder) {
  const { folder, imports, now, log } = options;
  /** Identities at the last look. */
  let seen = new Map<string, string>();
  /** Which were read in vain, as what and when. */
  const readInVain = new Map<string, { readonly identity: string; readonly at: number }>();
  const own = `${hostname()}:${resolve(folder)}/`;
  const nameOf = (name: string): string => `${own}${name}`;

  const identityOf = async (name: string): Promise<string | undefined> => {
    const stats = await Promise.all(['', ...BESIDE].map((ending) => ifExists(lstat(join(folder, `${name}${ending}`)))));
    if (!stats[0]?.isFile()) return undefined;
    return stats.map((found) => (found ? `${found.size}@${found.mtimeMs}` : '-')).join(' ');
  };

  const take = async (name: string, reading: Reading, signal: AbortSignal): Promise<string> => {
    const path = join(folder, name);
    const texts = await Promise.all(BESIDE.map(async (ending) => [ending, await textOf(`${path}${ending}`)] as const));
    const brought = broughtBy(Object.fromEntries(texts) as Beside, options.ignored);
    // A link would lead out of the folder.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { size: sizeBytes } = await file.stat();
      const body = file.createReadStream({ autoClose: false, highWaterMark: 256 * 1024 });
      reading.body = body;
      return (await takeIn(options.takeIn, { ...brought, by: 'folder', from: name, body, sizeBytes }, signal)).sha256;
    } finally {
      await file.close();
    }
  };

  /** `before`: what was told of it last. */
  const importOne = async (
    name: string,
    identity: string,
    before: ImportedFile | undefined,
    signal: AbortSignal,
  ): Promise<void> => {
    const told = { file: nameOf(name), identity, at: now() };
    const reading: Reading = {};
    try {
      const sha256 = await take(name, reading, signal);
      readInVain.delete(name);
      await imports.write({ ...told, takenIn: true, sha256 });
      log.info({ file: told.file, sha256 }, 'an image was taken in from the import folder');
    } catch (error) {
      if (signal.aborted) throw error;
      // Room may come, and a stick that was pulled out may be put in again: those are tried at the next look.
      const isFinal = error instanceof Refused || (error instanceof TakeInError && error.code !== 'ARTIFACT_NO_SPACE');
      const message = describeError(error);
      if (!isFinal && reading.body?.bytesRead) readInVain.set(name, { identity, at: now() });
      const isNews = isFinal || before?.takenIn !== false || withoutNumbers(before.message) !== withoutNumbers(message);
      if (isNews || wantsRenewal(before, now()))
        await imports.write({ ...told, identity: isFinal ? identity : '', takenIn: false, message });
      if (isNews) log.warn({ file: told.file, reason: message }, 'a file of the import folder was not taken in');
    }
  };

  return {
    /** Resolves with how many files were looked at. Safe to repeat. */
    async look(signal: AbortSignal): Promise<number> {
      const names = ((await ifExists(readdir(folder))) ?? []).filter(isImage);
      const before = seen;
      seen = new Map();
      const known = new Map<string, ImportedFile>();
      for (const one of await imports.read()) known.set(one.file, one);
      let looked = 0;
      for (const name of names) {
        const identity = await identityOf(name);
        if (identity === undefined) continue;
        seen.set(name, identity);
        const entry = known.get(nameOf(name));
        if (entry?.identity === identity) {
          if (wantsRenewal(entry, now())) await imports.write({ ...entry, seenAt: now() });
          continue;
        }
        const isWhole = before.get(name) === identity || (await textOf(join(folder, `${name}.sha256`))) !== undefined;
        const vain = readInVain.get(name);
        const isRest = vain?.identity === identity && now() - vain.at < READ_AGAIN_MS;
        if (!isWhole || isRest) continue;
        looked += 1;
        await importOne(name, identity, entry, signal);
      }
      for (const name of readInVain.keys()) if (!seen.has(name)) readInVain.delete(name);
      const gone = [...known.keys()].filter((file) => file.startsWith(own) && !seen.has(file.slice(own.length)));
      await imports.forget(gone);
      return looked;
    },
  };
}
