import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { TakeInError, type TakenIn, takeIn } from '@khumbu/artifacts/take-in';
import { broughtKey } from '@khumbu/operations/artifacts/brought-key';
import {
  ArtifactParams,
  ArtifactPostQuery,
  ArtifactPutQuery,
  ArtifactSchema,
  ArtifactUploadHeaders,
  ImageBytesSchema,
  type ArtifactUploadHeaders as UploadHeaders,
} from '@khumbu/rest-contract/artifacts';
import type { ProblemCode } from '@khumbu/rest-contract/problem-codes';
import { parseLocation, publicLocation } from '@khumbu/shared/locations/location';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { artifactView, requireArtifact, requireBytes } from '../artifacts/artifacts.js';
import type { UploadTimes } from '../artifacts/upload-times.js';
import { ref } from '../contract-schemas.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY } from '../routing.js';
import type { ArtifactRouteDeps } from './artifacts.js';

export interface ArtifactUploadDeps extends Omit<ArtifactRouteDeps, 'eventLoopTurn'> {
  readonly times: UploadTimes;
}

/** Each of them hashes on the thread that answers stations. */
const MOST_AT_ONCE = 2;

const PROBLEM_OF = {
  ARTIFACT_TOO_LARGE: 'BODY_TOO_LARGE',
  ARTIFACT_TOO_SMALL: 'ARTIFACT_REFUSED',
  ARTIFACT_CUT: 'ARTIFACT_REFUSED',
  ARTIFACT_HASH_MISMATCH: 'ARTIFACT_REFUSED',
  ARTIFACT_SIGNATURE_BAD: 'ARTIFACT_REFUSED',
  ARTIFACT_NO_SPACE: 'ARTIFACT_NO_SPACE',
  ARTIFACT_REMOVED: 'ARTIFACT_IN_USE',
} as const satisfies Record<TakeInError['code'], ProblemCode>;

/** What `curl -F` and `curl -d` send. */
const FORM = /^\s*(multipart\/|application\/x-www-form-urlencoded)/i;

/** The word of a refusal: `hash_mismatch`. */
const reasonOf = ({ code }: TakeInError): string => code.replace(/^ARTIFACT_/, '').toLowerCase();

const PROBLEMS: readonly ProblemCode[] = [
  ...WITH_ANY_BODY,
  'ARTIFACT_REFUSED',
  'ARTIFACT_IN_USE',
  'ARTIFACT_NO_SPACE',
  'ARTIFACT_ELSEWHERE',
  'ARTIFACT_STORE_UNREACHABLE',
  'LOCATION_MALFORMED',
  'LOCATION_SCHEME_UNKNOWN',
  'SIGNATURE_INCOMPLETE',
];

const DESCRIPTION = `The body is the image as it is (\`curl -T image.raucb\`), no JSON and no form. It is checked as a download is (\`MAX_FIRMWARE_BYTES\`,
\`MIN_FIRMWARE_BYTES\`, the SHA-256, a signature where one is given) and kept until somebody deletes it. Not a byte of it goes over the
WAN. Whether the certificate is trusted is judged by the updates that name it. Updates use it by \`artifact\`, or by the \`location\` it is brought in for. Safe to repeat.`;

type Query = Static<typeof ArtifactPostQuery>;

/** Throws `SIGNATURE_INCOMPLETE`. */
function signedOf(headers: Static<typeof UploadHeaders>) {
  const { 'khumbu-signature': signatureBase64, 'khumbu-certificate': certificate } = headers;
  if (signatureBase64 === undefined && certificate === undefined) return undefined;
  if (signatureBase64 === undefined || certificate === undefined) throw new Problem('SIGNATURE_INCOMPLETE');
  return { signatureBase64, certificatePem: Buffer.from(certificate, 'base64').toString('utf8') };
}

function sizeOf({ headers }: Pick<FastifyRequest, 'headers'>): number | undefined {
  const { 'content-length': length } = headers;
  return length === undefined ? undefined : Number(length);
}

/** What somebody brings in by hand. */
export function artifactUploadRoutes(app: RestApp, { artifacts, audit, stopping, times }: ArtifactUploadDeps): void {
  let underWay = 0;

  const receive = async (request: FastifyRequest, { sha256, location, name }: Query): Promise<TakenIn> => {
    if (!(request.body instanceof Readable)) throw new Problem('BODY_MALFORMED', 'The body is empty.');
    if (FORM.test(request.headers['content-type'] ?? ''))
      throw new Problem('CONTENT_TYPE_UNSUPPORTED', 'A form has other bytes than the image: send it as curl -T does.');
    // What is refused is answered: to destroy it would end the connection.
    const body = request.body.iterator({ destroyOnReturn: false });
    const parsed = location === undefined ? undefined : parseLocation(location);
    if (parsed?.ok === false) throw new Problem(parsed.code, parsed.reason);
    const signed = signedOf(request.headers as Static<typeof UploadHeaders>);
    await requireBytes(artifacts);
    const brought = {
      by: 'upload' as const,
      from: name ?? (location === undefined ? (request.caller?.name ?? '') : publicLocation(location)),
      body,
      sizeBytes: sizeOf(request),
      sha256,
      signed,
      ...(location === undefined ? {} : { locationKey: broughtKey(location, artifacts.ignored) }),
    };
    return takeIn(artifacts.takeIn, brought, stopping);
  };

  const upload = async (request: FastifyRequest, reply: FastifyReply, query: Query) => {
    if (underWay >= MOST_AT_ONCE) throw new Problem('READS_BUSY', 'Other uploads are under way.');
    underWay += 1;
    const { raw } = request;
    const end = times.begin(raw.socket);
    // Who has sent all waits while it is written, checked and kept, which takes minutes for gigabytes: the time limit of the socket
    // is for those that stand still. Node.js sets it again with the next request.
    raw.once('end', () => {
      if (raw.socket instanceof Socket) raw.socket.setTimeout(0);
    });
    try {
      const taken = await receive(request, query);
      audit(request, 'upload firmware artifact', '', { outcome: 'taken in', sha256: taken.sha256 });
      reply.status(taken.isNew ? 201 : 200).header('location', `/v1/firmware-artifacts/${taken.sha256}`);
      return artifactView(await requireArtifact(artifacts, taken.sha256));
    } catch (error) {
      audit(request, 'upload firmware artifact', '', { outcome: 'refused', reason: describeError(error) });
      if (error instanceof Problem || reply.raw.destroyed) throw error;
      if (error instanceof TakeInError) {
        const code = PROBLEM_OF[error.code];
        const members = code === 'ARTIFACT_REFUSED' ? { reason: reasonOf(error) } : {};
        throw new Problem(code, error.message, members, { cause: error });
      }
      throw new Problem('ARTIFACT_STORE_UNREACHABLE', describeError(error), {}, { cause: error });
    } finally {
      end();
      underWay -= 1;
    }
  };

  const config = { scope: 'operate' as const, isUnqueued: true };
  const success = {
    ...answers(201, 'The artefact.', ref(ArtifactSchema)),
    ...answers(200, 'The depot held it already: the artefact.', ref(ArtifactSchema)),
  };
  const text = { tag: 'firmware', scope: 'operate', description: DESCRIPTION, problems: PROBLEMS, success } as const;
  const takes = { headers: ArtifactUploadHeaders, body: ref(ImageBytesSchema), consumes: ['application/octet-stream'] };

  app.post(
    '/firmware-artifacts',
    {
      ...describeRoute({
        ...text,
        id: 'uploadFirmwareArtifact',
        summary: 'Bring in an image by hand',
        takes: { querystring: ArtifactPostQuery, ...takes },
      }),
      config,
    },
    (request, reply) => upload(request, reply, request.query),
  );

  app.put(
    '/firmware-artifacts/:sha256',
    {
      ...describeRoute({
        ...text,
        id: 'putFirmwareArtifact',
        summary: 'Bring in an image whose SHA-256 is known',
        takes: { params: ArtifactParams, querystring: ArtifactPutQuery, ...takes },
      }),
      config,
    },
    (request, reply) => upload(request, reply, { ...request.query, sha256: request.params.sha256 }),
  );
}
