/** What a fetch is given, and how it ends. */
import type { ProxyRules } from '@khumbu/shared/http/forward-proxy';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import type { Validators } from '@khumbu/steps/firmware-update/image-ports';

export interface FetchOptions {
  readonly location: string;
  /** Names the download in the spool: `[A-Za-z0-9_-]`. Same key, same content wanted. */
  readonly key: string;
  /** Gets the folders `fetching` and `images`; one file system. */
  readonly spoolDir: string;
  readonly policy: LocationPolicy;
  /** Strong validators of the image we already have from this location, as an earlier fetch gave them. */
  readonly known?: Validators;
  readonly maxBytes: number;
  /** Fewer are no image; 1 by default. */
  readonly minBytes?: number;
  /** What the requests call themselves; `khumbu/<version>` by default. */
  readonly userAgent?: string;
  /** Which origins are reached through a forward proxy; none by default. */
  readonly proxy?: ProxyRules;
  /** Longest silence of the server, in milliseconds. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  /** After every piece: bytes held and, if known, bytes in all. Must not throw. */
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
  /** Sent to the location's own origin only. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses after which another try may succeed, besides those that say so. */
  readonly retryableStatuses?: readonly number[];
  /** PEM authorities for `https`, in place of the built-in ones. */
  readonly ca?: string | readonly string[];
  /** The spool lacks so many bytes (`Infinity`: it is not known how many). Resolves with how many were freed. */
  readonly makeRoom?: (bytes: number) => Promise<number>;
}
