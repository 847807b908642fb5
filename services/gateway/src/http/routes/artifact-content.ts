import { contentPath } from '@khumbu/artifacts/signed-urls';
import {
  ArtifactParams,
  ContentHeadersSchema,
  ContentQuery,
  ContentUrlOrderSchema,
  ContentUrlSchema,
} from '@khumbu/rest-contract/artifacts';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { type Artifacts, atPlace, requireBytes } from '../artifacts/artifacts.js';
import type { Bytes } from '../artifacts/byte-ranges.js';
import { IMAGE_TYPE } from '../artifacts/content-stream.js';
import { createContentServer, type Offered } from '../artifacts/serve-content.js';
import { ref } from '../contract-schemas.js';
import { reading } from '../inventory.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY } from '../routing.js';
import type { Audit } from '../submit-operation.js';

export interface ArtifactContentDeps {
  readonly artifacts: Artifacts;
  readonly audit: Audit;
  readonly stopping: AbortSignal;
  /** A reader who takes nothing for this long is cut off. */
  readonly stallMs: number;
}

/** All of them read at the pace of their stations. */
const MOST_READERS = 100;

const binary = { type: 'string', format: 'binary' };

/** The URL is enough. `false`: there is no signature, and the caller needs a key. Rejects with `NOT_AUTHENTICATED`. */
async function isSigned({ signer }: Artifacts, request: FastifyRequest): Promise<boolean> {
  const { expires, signature } = request.query as Record<string, unknown>;
  if (typeof signature !== 'string' || typeof expires !== 'string') return false;
  const { sha256 } = request.params as Static<typeof ArtifactParams>;
  const verdict = await reading(() => signer.verify(sha256, { expires: Number(expires), signature }))();
  if (verdict === 'good') return true;
  throw new Problem('NOT_AUTHENTICATED', verdict === 'expired' ? 'The signed URL has expired.' : undefined);
}

/** The bytes of artefacts, for stations that fetch them. */
export function artifactContentRoutes(
  app: RestApp,
  { artifacts, audit, stopping, stallMs }: ArtifactContentDeps,
): void {
  const { place } = artifacts;
  const busy = 'As many read artefacts from this gateway as may.';
  const serve = createContentServer({ mostReaders: MOST_READERS, busy, stallMs, stopping });
  const find = async (sha256: string): Promise<Offered> => {
    await requireBytes(artifacts);
    const found = await atPlace(() => place.find(sha256, stopping));
    if (!found) throw new Problem('ARTIFACT_UNKNOWN');
    const read = (part: Bytes, signal: AbortSignal) => place.read(sha256, part, signal);
    return { source: { read, what: sha256, type: IMAGE_TYPE, size: found.sizeBytes }, etag: `"${sha256}"` };
  };

  app.get(
    '/firmware-artifacts/:sha256/content',
    {
      ...describeRoute({
        id: 'getFirmwareArtifactContent',
        tag: 'firmware',
        scope: 'read',
        summary: 'The bytes of an image',
        description:
          'For a station on the LAN that fetches its image itself. In place of a key the URL may carry `expires` and `signature`, as `content-url` gives them. The ETag is the SHA-256; one range and several, `If-Range`, `If-Match`, `If-None-Match` and HEAD are served as RFC 9110 has them.',
        problems: [
          'ARTIFACT_UNKNOWN',
          'ARTIFACT_ELSEWHERE',
          'ARTIFACT_STORE_UNREACHABLE',
          'PRECONDITION_FAILED',
          'RANGE_NOT_SATISFIABLE',
        ],
        success: {
          200: { description: 'All of its bytes.', content: { [IMAGE_TYPE]: { schema: binary } } },
          206: {
            description: 'The bytes that were asked for.',
            content: { [IMAGE_TYPE]: { schema: binary }, 'multipart/byteranges': { schema: binary } },
          },
          304: { description: 'The reader has it already.', type: 'null' },
        },
        takes: { params: ArtifactParams, querystring: ContentQuery, headers: ContentHeadersSchema },
      }),
      config: {
        scope: 'read',
        // Its place in the queue would be taken for as long as its reader takes: a few slow ones would keep all others from what is kept.
        isUnqueued: true,
        isSigned: (request: FastifyRequest) => isSigned(artifacts, request),
      },
    },
    (request, reply) => serve(request, reply, () => find(request.params.sha256)),
  );

  app.post(
    '/firmware-artifacts/:sha256/content-url',
    {
      ...describeRoute({
        id: 'signFirmwareArtifactUrl',
        tag: 'firmware',
        scope: 'operate',
        summary: 'A URL without a key',
        description:
          'A URL at this gateway, under the host name that the request was sent to, by which anybody may fetch the bytes for a while.',
        problems: [
          ...WITH_ANY_BODY,
          'BODY_INVALID',
          'ARTIFACT_UNKNOWN',
          'ARTIFACT_ELSEWHERE',
          'ARTIFACT_STORE_UNREACHABLE',
        ],
        success: answers(200, 'The URL.', ref(ContentUrlSchema)),
        takes: { params: ArtifactParams, body: ref(ContentUrlOrderSchema) },
      }),
      config: { scope: 'operate', asksObjectStore: true },
    },
    async (request) => {
      const { sha256 } = request.params;
      await requireBytes(artifacts);
      const found = await atPlace(() => place.find(sha256, stopping));
      if (!found) throw new Problem('ARTIFACT_UNKNOWN');
      const seconds = request.body.seconds ?? artifacts.urlSeconds;
      const signed = await reading(() => artifacts.signer.sign(sha256, seconds))();
      const { expires } = signed;
      audit(request, 'firmware artifact url', '', { outcome: 'handed out', sha256, expires });
      const { protocol, host } = request;
      const url = `${protocol}://${host}${contentPath(sha256, signed)}`;
      return { url, expiresAt: rfc3339(expires * 1000), sha256, sizeBytes: found.sizeBytes };
    },
  );
}
