/** Stands in for the S3 server of docker-compose.yml: port 8333, objects below /data, the keys of the secrets. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import S3rver from '@20minutes/s3rver';
import AWSAccount from '@20minutes/s3rver/lib/models/account.js';
import { multipartUploads } from './packages/embedded-run/dist/src/multipart-uploads.js';

const secret = (name) => readFileSync(`/run/secrets/${name}`, 'utf8').trim();
AWSAccount.DUMMY_ACCOUNT.revokeAccessKey('S3RVER');
AWSAccount.DUMMY_ACCOUNT.createKeyPair(secret('s3_access_key'), secret('s3_secret_key'));
const app = new S3rver({
  directory: '/data',
  silent: true,
  vhostBuckets: false,
  configureBuckets: [{ name: 'khumbu' }],
});
app.on('error', (error) => console.error(error));
app.middleware.unshift(multipartUploads('/data'));
await app.configureBuckets();
const server = createServer(app.callback()).listen(8333, '0.0.0.0');
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
