/** What a scheme brings to the conformance suite: a server with one file to fetch and one place to bring to. */
import type { Test } from 'tap';
import type { TransferContext } from '../port.js';

/** What a server does wrong when it is asked to go on with what is held. */
export interface Lie {
  readonly name: string;
  /** From the next request on. */
  readonly begin: () => void | Promise<void>;
}

export interface ConformanceServer {
  /** Trusts the server. */
  readonly context: TransferContext;
  /** Of the file, with credentials if the scheme has them. */
  readonly location: string;
  /** Where nothing is, and what is said of it. */
  readonly absent: { readonly location: string; readonly reason: string };
  /** Whether the server can say that content is still what it was. */
  readonly tellsUnchanged: boolean;
  /** The file has this content from now on, and what tells one content from another has changed with it. */
  serve(content: Buffer): void | Promise<void>;
  /** Content bytes that have left the server so far. */
  sent(): number;
  /** The next request for the file loses its connection after so many content bytes, once. */
  cutAfter(bytes: number): void | Promise<void>;
  /** The next request for the file gets no more than so many content bytes, and is not ended. */
  stallAfter(bytes: number): void | Promise<void>;
  readonly lies: readonly Lie[];

  /** Where to bring to; `absent` with credentials that may not. */
  readonly upload: { readonly location: string; readonly denied?: string; readonly deniedReason?: string };
  /** What is there under its final name; `undefined`: nothing. */
  received(): Buffer | undefined | Promise<Buffer | undefined>;
  /** The next upload loses its connection after some content bytes, once. */
  cutUpload(): void | Promise<void>;
  /** Why this very server has a half of an upload that was cut under its final name: a fault of its own. */
  readonly keepsHalves?: string;
  /** The next upload is not answered. */
  stallUpload(): void | Promise<void>;
}

/** A new one for each test; it ends with the test. */
export type MakeServer = (t: Test) => Promise<ConformanceServer>;
