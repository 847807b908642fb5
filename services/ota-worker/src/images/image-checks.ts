/**
 * What is known of image files, so that the same bytes are not read again for each station. Knowledge belongs to a file
 * as it is: any change of it, by anybody, changes its inode or its times, and it is read anew.
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type SignatureVerdict, verifySignature } from '@khumbu/firmware-trust/signature';
import { connectorsFlagOfImage } from '@khumbu/steps/firmware-update/image-metadata';
import type { ImageChecks, ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { readImageFacts } from '../writing/read-image.js';
import { type Begin, SharedWork } from './shared-work.js';

const MOST_KNOWN = 256;
/** A read counts for so long where it has to be a new one: for all stations that install at about the same time. */
const NEW_READ_MS = 60_000;

/** Of a file as it is now: any change of it gives another one. Rejects with the system's code. */
export const identityOf = async (path: string): Promise<string> => {
  const { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats = await stat(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
};

/** A cache of answers; an answer that is being computed is awaited by all that need it. */
class Answers<T> {
  readonly #known = new Map<string, T>();
  readonly #finding = new SharedWork<T>();

  keep(key: string, answer: T): void {
    this.#known.set(key, answer);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > MOST_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }

  known(key: string): T | undefined {
    return this.#known.get(key);
  }

  async get(key: string, signal: AbortSignal, find: Begin<T>): Promise<T> {
    signal.throwIfAborted();
    return this.known(key) ?? this.findAgain(key, signal, find);
  }

  /** Whatever is known. */
  findAgain(key: string, signal: AbortSignal, find: Begin<T>): Promise<T> {
    return this.#finding.get(key, signal, find);
  }
}

interface Read {
  readonly facts: ImageFacts;
  /** By `performance.now()`. */
  readonly begunAt: number;
}

export function createImageChecks(): ImageChecks {
  const facts = new Answers<ImageFacts>();
  const reads = new Answers<Read>();
  const verdicts = new Answers<SignatureVerdict>();

  /** Compute something about a file, and cache it if the file did not change meanwhile. */
  const about = async <T>(
    answers: Answers<T>,
    path: string,
    detail: string,
    signal: AbortSignal,
    find: Begin<T>,
  ): Promise<T> => {
    const identity = await identityOf(path);
    const key = `${identity} ${detail}`;
    return answers.get(key, signal, async (shared) => {
      const answer = await find(shared);
      if ((await identityOf(path)) === identity) answers.keep(key, answer);
      return answer;
    });
  };
  const factsOf = (path: string, signal: AbortSignal): Promise<ImageFacts> =>
    about(facts, path, '', signal, (shared) => readImageFacts(path, shared));

  /** Of a read that has just been, or is now. Later ones believe what it found. */
  const factsNow = async (path: string, signal: AbortSignal): Promise<ImageFacts> => {
    const identity = await identityOf(path);
    const last = reads.known(identity);
    if (last && performance.now() - last.begunAt < NEW_READ_MS) return last.facts;
    const read = await reads.findAgain(identity, signal, async (shared) => {
      const begunAt = performance.now();
      const found = { facts: await readImageFacts(path, shared), begunAt };
      if ((await identityOf(path)) === identity) {
        facts.keep(`${identity} `, found.facts);
        reads.keep(identity, found);
      }
      return found;
    });
    return read.facts;
  };

  return {
    async remember(path, found) {
      facts.keep(`${await identityOf(path)} `, found);
    },
    async verdict(imagePath, question, signal) {
      const { sha256 } = await factsOf(imagePath, signal);
      const asked = createHash('sha256').update(JSON.stringify(question)).digest('hex');
      return about(verdicts, imagePath, asked, signal, (shared) =>
        verifySignature({ ...question, sha256, scratchDir: dirname(imagePath), signal: shared }),
      );
    },
    async matches(path, sha256, signal, { anew = false } = {}) {
      const found = await (anew ? factsNow(path, signal) : factsOf(path, signal));
      return found.sha256 === sha256;
    },
    async connectorsFlag(path, signal) {
      const { metadataAt } = await factsOf(path, signal);
      return metadataAt === undefined ? undefined : connectorsFlagOfImage(path, metadataAt);
    },
  };
}
