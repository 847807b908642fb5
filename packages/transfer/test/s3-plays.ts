/** The faults of the object store, each with a store that has it. */
import { createObjectStore } from '@khumbu/object-store/object-store';
import { selfSigned } from '@khumbu/test-support/certificates';
import { rawServer } from '@khumbu/test-support/raw-server';
import type { Test } from 'tap';
import type { StoreForTransfers } from '../src/port.js';
import { type Play, says } from './play.js';

const LOCATION = 's3://bucket/images/fw.bin';

export async function s3Plays(t: Test): Promise<Readonly<Record<string, Play>>> {
  const storeAt = (endpoint: string, stallMs: number): StoreForTransfers => {
    const account = { S3_REGION: 'us-east-1', S3_ACCESS_KEY: 'key', S3_SECRET_KEY: 'hush', S3_BUCKET: 'bucket' };
    const store = createObjectStore({ ...account, S3_ENDPOINT: endpoint }, { stallMs });
    t.teardown(() => store.close());
    return store;
  };
  const at = (endpoint: string, stallMs = 20_000): Play => ({
    location: LOCATION,
    context: { objects: storeAt(endpoint, stallMs), stallMs },
  });
  const answer = async (status: number, code: string): Promise<Play> => {
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Region>garage</Region></Error>`;
    const head = [`HTTP/1.1 ${status} Said`, 'content-type: application/xml', `content-length: ${body.length}`];
    const port = await rawServer(t, (socket) => {
      says(...head, 'connection: close')(socket);
      socket.end(body);
    });
    return at(`http://127.0.0.1:${port}`);
  };
  const own = await selfSigned(t.testdir({}), 'store', { extensions: ['subjectAltName=IP:127.0.0.1'] });
  const tls = await rawServer(t, says('HTTP/1.1 200 OK'), { key: own.keyPem, cert: own.certificatePem });
  const silent = await rawServer(t, () => undefined);
  const cut = await rawServer(t, (socket) => {
    says('HTTP/1.1 200 OK', 'content-length: 1000')(socket);
    socket.end('half');
  });
  return {
    'The location is more or less than s3://bucket/key, or its key is not one and the same place for every server.': {
      location: 's3://bucket/a//b?x=1',
    },
    'The depot has no object store.': { location: LOCATION },
    'The store cannot be reached, is overloaded or out of order, or breaks off.': await answer(503, 'SlowDown'),
    'The port of the store is closed.': at('http://127.0.0.1:1'),
    'The name of the store cannot be resolved.': at('http://no-such-store.invalid'),
    'The certificate of the store is not trusted.': at(`https://127.0.0.1:${tls}`),
    'The store sends nothing for the stall limit.': at(`http://127.0.0.1:${silent}`, 300),
    'The store breaks off in the object.': at(`http://127.0.0.1:${cut}`),
    'The store denies it: keys, rights, or a clock that is wrong.': await answer(403, 'AccessDenied'),
    'There is no such bucket.': await answer(404, 'NoSuchBucket'),
    'There is no such object.': await answer(404, 'NoSuchKey'),
    'The bucket is in another region.': await answer(400, 'AuthorizationHeaderMalformed'),
    'The bucket is at another endpoint.': await answer(301, 'PermanentRedirect'),
    'The store or its bucket is full.': await answer(507, 'QuotaExceeded'),
    'The upload was ended by somebody else.': await answer(404, 'NoSuchUpload'),
    'The store does not accept the request.': await answer(400, 'InvalidRequest'),
    'The store lacks what an upload needs.': await answer(501, 'NotImplemented'),
  };
}
