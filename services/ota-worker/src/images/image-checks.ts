/**
 * What is known of image files, so that the same bytes are not read again for each station. Knowledge belongs to a file
 * as it is: any change of it, by anybody, changes its inode or its times, and it is read anew.
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type SignatureOptions, type SignatureVerdict, verifySignature } from '@khumbu/firmware-trust/signature';
import type { ImageFacts } from '../writing/image-facts.js';
import { readImageFacts } from '../writing/read-image.js';
import { connectorsFlagOfImage } from './image-metadata.js';

export type SignatureQuestion = Pick<SignatureOptions, 'certificatePem' | 'signatureBase64' | 'allowPkcs1'>;

export interface ImageChecks {
  /** A fetch has just written this file and found this. */
  remember(path: string, facts: ImageFacts): Promise<void>;
  verdict(path: string, question: SignatureQuestion, signal: AbortSignal): Promise<SignatureVerdict>;
  /** What its metadata block says. */
  connectorsFlag(path: string, signal: AbortSignal): Promise<boolean | undefined>;
}

const MOST_KNOWN = 256;

const identityOf = async (path: string): Promise<string> => {
  const { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats = await stat(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
};

/** Answers that are worth keeping. Whoever asks for one that is being found out waits for it. */
class Answers<T> {
  readonly #known = new Map<string, T>();
  readonly #underWay = new Map<string, Promise<unknown>>();

  keep(key: string, answer: T): void {
    this.#known.set(key, answer);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > MOST_KNOWN && oldest !== undefined) this.#known.delete(oldest);
  }

  /** Who was first may fail, also by a signal of his own: then the next one tries. */
  async get(key: string, signal: AbortSignal, find: () => Promise<T>): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      const known = this.#known.get(key);
      if (known !== undefined) return known;
      const other = this.#underWay.get(key);
      if (other === undefined) break;
      await other.catch(() => undefined);
    }
    const finding = find();
    this.#underWay.set(key, finding);
    try {
      return await finding;
    } finally {
      this.#underWay.delete(key);
    }
  }
}

export function createImageChecks(): ImageChecks {
  const facts = new Answers<ImageFacts>();
  const verdicts = new Answers<SignatureVerdict>();

  /** Find out about a file, and keep it if nobody touched the file meanwhile. */
  const about = async <T>(
    answers: Answers<T>,
    path: string,
    detail: string,
    signal: AbortSignal,
    find: () => Promise<T>,
  ): Promise<T> => {
    const identity = await identityOf(path);
    const key = `${identity} ${detail}`;
    return answers.get(key, signal, async () => {
      const answer = await find();
      if ((await identityOf(path)) === identity) answers.keep(key, answer);
      return answer;
    });
  };
  const factsOf = (path: string, signal: AbortSignal): Promise<ImageFacts> =>
    about(facts, path, '', signal, () => readImageFacts(path, signal));

  return {
    async remember(path, found) {
      facts.keep(`${await identityOf(path)} `, found);
    },
    async verdict(imagePath, question, signal) {
      const { sha256 } = await factsOf(imagePath, signal);
      const asked = createHash('sha256').update(JSON.stringify(question)).digest('hex');
      return about(verdicts, imagePath, asked, signal, () =>
        verifySignature({ ...question, imagePath, sha256, signal }),
      );
    },
    async connectorsFlag(path, signal) {
      const { metadataAt } = await factsOf(path, signal);
      return metadataAt === undefined ? undefined : connectorsFlagOfImage(path, metadataAt);
    },
  };
}
