declare module '@20minutes/s3rver' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface S3rverOptions {
    directory: string;
    silent?: boolean;
    vhostBuckets?: boolean;
    configureBuckets?: { name: string }[];
  }

  /** A Koa application; it knows one account, S3RVER with the secret S3RVER. */
  export default class S3rver {
    constructor(options: S3rverOptions);
    /** Koa middlewares; each sees a context of Koa. */
    readonly middleware: { unshift(middleware: (context: never, next: () => Promise<void>) => Promise<void>): void };
    configureBuckets(): Promise<void>;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    on(event: 'error', listener: (error: unknown) => void): this;
  }
}
