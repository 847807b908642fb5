/** A worker's process that brings one archive in parts, to be killed in the midst of it. */
import { keysFor } from '@khumbu/operations/records/keys';
import { Redis } from 'ioredis';
import { createSharedJournal } from '../src/upload/shared-journal.js';
import { uploadArchive } from '../src/upload/upload-archive.js';
import { madeBytes, PART_BYTES, storeAt, streamOf, TARGET } from './made-archive.js';
import { loopback } from './put-file.js';

const [endpoint = '', spoolDir = '', redisUrl = '', size = ''] = process.argv.slice(2);
await uploadArchive({
  target: TARGET,
  openArchive: async () => streamOf(madeBytes(Number(size))),
  operationId: 'log-1',
  spoolDir,
  shared: createSharedJournal(new Redis(redisUrl), keysFor('test')),
  delivery: { partBytes: PART_BYTES },
  context: { policy: loopback, stallMs: 30_000, objects: storeAt(endpoint) },
  signal: new AbortController().signal,
});
process.exit(0);
