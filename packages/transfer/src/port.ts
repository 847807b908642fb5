/**
 * The port behind which every scheme of locations stands, in both directions: one `open` is one request for content, one
 * `put` one try to bring it. What happens between two of them (part files, tries, archives, journals) is the caller's.
 * Whatever fails is a `TransferError` whose reason is in the fault table (`faults/fault-table.ts`).
 */
import type { Readable } from 'node:stream';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import type { Protection } from '@khumbu/object-store/protection';
import type { Location } from '@khumbu/shared/locations/location';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import type { ProxyRules } from './http/forward-proxy.js';
import type { Labels } from './labels.js';

/** Which way content goes: from a location (images), or to it (archives). */
export type Direction = 'get' | 'put';

/**
 * By what a server tells one content from another: strong validators only (RFC 9110, 8.8), empty when it gave none. They
 * are stored beside parts and images. A scheme without ETags writes what it has in a form of its own, and reads only that.
 */
export interface Validators {
  readonly etag?: string;
  readonly lastModified?: string;
}

/** A limit on bytes a second that transfers share. */
export interface RateLimiter {
  /** Longest piece that keeps the rate even; any by default. */
  readonly pieceBytes?: number;
  /**
   * So many bytes have come, or are about to go. `undefined`: go on at once, the way of almost every call; else resolves
   * when reading or sending may go on. Rejects with the signal's reason alone. Time spent here is no stall.
   */
  take(bytes: number, signal: AbortSignal): Promise<void> | undefined;
}

/** What all schemes share: rules, trust and limits. One for each try of a transfer. */
export interface TransferContext {
  /** Judges the location and every redirect, and pins addresses: connect by `lookupFor(port)` alone. */
  readonly policy: LocationPolicy;
  /** Which origins are reached through a forward proxy; none by default. */
  readonly proxy?: ProxyRules | undefined;
  /** Trusted authorities in PEM, in place of the built-in ones. */
  readonly ca?: string | readonly string[] | undefined;
  /** Lines of a known-hosts file: the keys that servers of `sftp` must have. None: no server is trusted. */
  readonly knownHosts?: string | undefined;
  /** Text of our SSH key, for `sftp` locations without a password. */
  readonly privateKey?: string | undefined;
  /** What requests call themselves; `khumbu/<version>` by default. */
  readonly userAgent?: string | undefined;
  /** Further headers of requests by http and https, sent to the location's own origin only. */
  readonly originHeaders?: Readonly<Record<string, string>> | undefined;
  /** Longest silence in milliseconds: while connecting, before an answer, between two pieces of content. */
  readonly stallMs: number;
  readonly limiter?: RateLimiter | undefined;
  /** The depot's own store, for `s3`; none: `scheme_unsupported`. */
  readonly objects?: StoreForTransfers | undefined;
}

/** What of the object store `s3` needs. A thread that only fetches asks for the first two by message. */
export type StoreForTransfers = Pick<ObjectStore, 'presignGet' | 'presignFoundGet'> &
  Partial<Pick<ObjectStore, 'putStream' | 'stat' | 'abortStaleUploads' | 'listParts' | 'abortUpload'>>;

/** So many of the last bytes that are held are given along. */
export const TAIL_BYTES = 64 * 1024;

export interface OpenOptions {
  /** How many bytes are held, from the beginning of the content; 0: none. */
  readonly offset: number;
  /** Of the content the held bytes are of. Without any nothing is gone on with. */
  readonly validators?: Validators | undefined;
  /** Size of that content in bytes, if it is known. Equal to `offset`: all of it is held, and it is asked whether it still counts. */
  readonly total?: number | undefined;
  /**
   * The last of the held bytes, up to `TAIL_BYTES`. Validators may be weak or lie, and servers may begin elsewhere than they were
   * asked to: nothing is gone on with unless the server sends these bytes once more, in their place.
   */
  readonly tail?: Buffer | undefined;
  /** Labels that its `whole` came with. */
  readonly labels?: Labels | undefined;
  /** Of other content that is there already, whole: if the location still has that, it is `unchanged`. */
  readonly known?: Validators | undefined;
  readonly signal: AbortSignal;
}

/** Content that comes. One of `readBody` and `drop` has to be called, once. */
export interface Body {
  /**
   * Hand the content to `use`, piece by piece, each valid only during the call. Resolves when the server has ended it: the
   * caller compares with `total`. Rejects with what `use` throws, else `TransferError` or the signal's reason. Time that
   * `use` takes is no stall.
   */
  readBody(use: (piece: Buffer) => void): Promise<void>;
  /** It is not wanted: ends the connection. Safe to repeat, and after `readBody`. */
  drop(): void;
}

export type Opened =
  /** The location still has what `known` stands for. `sentAnyway`: the server began to send it all the same. */
  | { readonly kind: 'unchanged'; readonly sentAnyway?: true }
  /** The content from its beginning. What was held, if anything, is not of it and must be dropped. */
  | (Body & {
      readonly kind: 'whole';
      readonly total: number | undefined;
      readonly validators: Validators;
      /** What its head says about the bytes, where the scheme has such heads. */
      readonly labels?: Labels;
    })
  /**
   * The content from `offset` on, of what is held: the server proved it by its validators and by the last bytes of that. May be
   * empty, when all was held.
   */
  | (Body & { readonly kind: 'part'; readonly offset: number; readonly total: number | undefined });

/** What is to be brought. */
export interface UploadBody {
  /** Bytes in all; `undefined`: not known before it was read, which `s3` alone can bring. */
  readonly size: number | undefined;
  readonly contentType: string;
  /** What it is called where it is brought; for `Content-Disposition`. */
  readonly fileName?: string | undefined;
  /** From byte `start` on (0 by default). With a `size` it can be called again: a server may want another login. */
  open(start?: number): Promise<Readable> | Readable;
}

/** Parts that a store keeps of an upload that is not whole: a process that is killed in between leaves them, and they are paid for. */
export interface MultipartJournal {
  /** What was begun and is not over: of earlier tries, of workers that were killed, of other workers. */
  noted(): Promise<readonly MultipartUpload[]>;
  /** After an abort with this reason another try follows, which goes on from the parts that are there. */
  isGoneOnWith(reason: unknown): boolean;
  /** Durable when it resolves; no part is sent before. */
  begun(upload: MultipartUpload): Promise<void>;
  /** Nothing of it is left in the store. */
  ended(upload: MultipartUpload): Promise<void>;
}

export interface MultipartUpload {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  /** How it was begun; another one is not gone on with when the settings have changed since. */
  readonly protection?: Protection;
}

/**
 * Names what is brought, the same in all tries. Where the scheme can keep it with the content (`s3`: user metadata), content that
 * has it is there already, whole, and is not brought again. Where files have another name while they come (`ftp`, `sftp`),
 * that name follows from it: what a killed try has left is removed by the next, or given its name if it is whole and measured.
 */
export interface Mark {
  readonly name: string;
  readonly value: string;
  /** Names of its SHA-256 and of its size, where these are known in time. */
  readonly sha256Name: string;
  readonly bytesName: string;
}

export interface PutOptions {
  readonly signal: AbortSignal;
  /** Bytes handed over so far. Must not throw. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly mark?: Mark | undefined;
  readonly journal?: MultipartJournal | undefined;
  /** Of `s3`: what the store shall do for the object. */
  readonly protection?: Protection | undefined;
  /** Of `s3`: bytes of a part; 8 MiB by default. */
  readonly partBytes?: number | undefined;
  /** Of `http` and `https`; `put` by default. See `HttpMethod`. */
  readonly method?: HttpMethod | undefined;
}

/**
 * How a body goes to an HTTP server: as it is by PUT or by POST, or as the one field of a form (RFC 7578) by POST. Where PUT
 * is answered 405 with an `Allow` that has POST, it is sent again by that.
 */
export const HTTP_METHODS = ['put', 'post', 'form'] as const;
export type HttpMethod = (typeof HTTP_METHODS)[number];

/** The server has confirmed all of it. */
export interface Brought {
  readonly bytes: number;
  /** Of `s3`: the object, with its SHA-256 in lower-case hex if that is known. */
  readonly object?: { readonly etag: string; readonly sha256?: string };
}

export interface Transport {
  /**
   * Ask for the content once; redirects, logins, and the plain request that follows a refused range are part of it.
   * What is held is never mixed with what does not continue it: any doubt ends in `whole` or in an error. Throws
   * `TransferError`, or the signal's reason. Safe to repeat and to abort.
   */
  open(location: Location, options: OpenOptions): Promise<Opened>;
  /**
   * Bring content once, and never so that a half is taken for it where the protocol allows that. Throws `TransferError`,
   * what `body` fails with, or the signal's reason. As safe to repeat as the server makes it.
   */
  put(location: Location, body: UploadBody, options: PutOptions): Promise<Brought>;
}

/** One transport for each try: what it learns (logins, cookies) is forgotten with it. */
export type CreateTransport = (context: TransferContext) => Transport;
