/** The object store of the embedded run: a small S3 server over a folder, as a process of its own. */
import { createServer } from 'node:http';
import S3rver from '@20minutes/s3rver';
import { describeError } from '@khumbu/shared/runtime/errors';
import { multipartUploads } from './multipart-uploads.js';

const { env } = process;
const directory = env.S3_DIR ?? '';
const app = new S3rver({
  directory,
  silent: true,
  vhostBuckets: false,
  configureBuckets: [{ name: env.S3_BUCKET ?? '' }],
});
app.on('error', (error) => console.error(`request failed: ${describeError(error)}`));
app.middleware.unshift(multipartUploads(directory));
await app.configureBuckets();
const server = createServer(app.callback());
server.on('error', (error) => {
  console.error(`cannot listen: ${describeError(error)}`);
  process.exit(1);
});
server.listen(Number(env.S3_PORT), '127.0.0.1');
const stop = (): void => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  // An upload in flight gets a moment; its client tries again.
  setTimeout(() => server.closeAllConnections(), 500).unref();
};
process.on('SIGTERM', stop);
process.on('disconnect', stop);
