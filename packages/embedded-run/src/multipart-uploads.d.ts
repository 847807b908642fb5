/** The part of a Koa context that is used here. */
export interface S3Context {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  status: number;
  body: unknown;
}
export type S3Middleware = (context: S3Context, next: () => Promise<void>) => Promise<void>;
export interface UnfinishedUpload {
  readonly id: string;
  readonly key: string;
  /** Numbers of the parts that are there. */
  readonly parts: readonly string[];
}
/** What was begun in a bucket and neither completed nor aborted. */
export declare function unfinishedUploads(directory: string, bucket: string): Promise<UnfinishedUpload[]>;
/** Serve the two calls, pass everything else on. */
export declare const multipartUploads: (directory: string) => S3Middleware;
