import { removeArtifact } from '@khumbu/artifacts/remove-artifact';
import { type Artifact, isSha256 } from '@khumbu/operations/artifacts/artifact-records';
import { ArtifactPageSchema, ArtifactParams, ArtifactSchema } from '@khumbu/rest-contract/artifacts';
import { PageQuery } from '@khumbu/rest-contract/parameters';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { type Artifacts, artifactView, atPlace, requireArtifact, requireBytes } from '../artifacts/artifacts.js';
import { ref } from '../contract-schemas.js';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { reading } from '../inventory.js';
import { sendPage } from '../pages.js';
import { cursorInvalid, Problem } from '../problems.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY } from '../routing.js';
import type { Audit } from '../submit-operation.js';

export interface ArtifactRouteDeps {
  readonly artifacts: Artifacts;
  readonly audit: Audit;
  readonly eventLoopTurn: EventLoopTurn;
  readonly stopping: AbortSignal;
}

const STATIONS_IN_LISTS = 10;
/** More would not be read. */
const OPERATIONS_NAMED = 20;

const writeCursor = ({ addedAt, sha256 }: Artifact): string =>
  Buffer.from(JSON.stringify([addedAt, sha256])).toString('base64url');

/** Throws `CURSOR_INVALID`. */
function readCursor(text: string): Pick<Artifact, 'addedAt' | 'sha256'> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch (error) {
    throw cursorInvalid({ cause: error });
  }
  const [addedAt, sha256] = Array.isArray(value) ? (value as unknown[]) : [];
  if (typeof addedAt !== 'number' || typeof sha256 !== 'string' || !isSha256(sha256)) throw cursorInvalid();
  return { addedAt, sha256 };
}

/** `/v1/firmware-artifacts`: the images that the depot holds. */
export function artifactRoutes(app: RestApp, { artifacts, audit, eventLoopTurn, stopping }: ArtifactRouteDeps): void {
  const { records } = artifacts;
  const page = reading((...of: Parameters<typeof records.page>) => records.page(...of));

  app.get(
    '/firmware-artifacts',
    describeRoute({
      id: 'listFirmwareArtifacts',
      tag: 'firmware',
      scope: 'read',
      summary: 'The images that the depot holds',
      description:
        'The newest first: size, SHA-256, from where each came, for which stations, and how many bytes it saved. What is counted is remembered for 30 days after an image has gone, should it come back.',
      problems: ['CURSOR_INVALID'],
      success: answers(200, 'A page of artefacts.', ref(ArtifactPageSchema)),
      takes: { querystring: PageQuery },
    }),
    async ({ query: { limit = 100, cursor } }, reply) => {
      const found = await page(limit + 1, STATIONS_IN_LISTS, cursor === undefined ? undefined : readCursor(cursor));
      const items = found.slice(0, limit);
      const last = found.length > limit ? items.at(-1) : undefined;
      const rest = last === undefined ? {} : { nextCursor: writeCursor(last) };
      return sendPage(reply, { items: items.map(artifactView), ...rest }, eventLoopTurn);
    },
  );

  app.get(
    '/firmware-artifacts/:sha256',
    describeRoute({
      id: 'getFirmwareArtifact',
      tag: 'firmware',
      scope: 'read',
      summary: 'One image',
      description: 'What is known of an image that the depot holds.',
      problems: ['ARTIFACT_UNKNOWN'],
      success: answers(200, 'The artefact.', ref(ArtifactSchema)),
      takes: { params: ArtifactParams },
    }),
    async ({ params }) => artifactView(await requireArtifact(artifacts, params.sha256)),
  );

  app.delete(
    '/firmware-artifacts/:sha256',
    {
      ...describeRoute({
        id: 'deleteFirmwareArtifact',
        tag: 'firmware',
        scope: 'operate',
        summary: 'Remove an image',
        description:
          'Removes it from where the ota-workers keep images; copies in spools of their own go with their next sweep. An update that wants it later fetches it again. Refused while an operation needs it; `operations` says which.',
        problems: [
          ...WITH_ANY_BODY,
          'ARTIFACT_UNKNOWN',
          'ARTIFACT_IN_USE',
          'ARTIFACT_ELSEWHERE',
          'ARTIFACT_STORE_UNREACHABLE',
        ],
        success: { 204: { description: 'It is removed.', type: 'null' } },
        takes: { params: ArtifactParams },
      }),
      config: { scope: 'operate', isUnqueued: true },
    },
    async (request, reply) => {
      const { sha256 } = request.params;
      await requireArtifact(artifacts, sha256);
      await requireBytes(artifacts);
      const { place } = artifacts;
      const removal = await removeArtifact(
        { records, neededBy: artifacts.neededBy, place: { remove: (...of) => atPlace(() => place.remove(...of)) } },
        sha256,
        stopping,
      ).catch((error: unknown) => {
        if (error instanceof Problem || hasCode(error, 'RECORD_TOO_NEW')) throw error;
        throw new Problem('NOT_STORED', 'it is not known whether it was removed', {}, { cause: error });
      });
      const outcome = removal.kind === 'removed' ? 'removed' : 'in use';
      audit(request, 'delete firmware artifact', '', { outcome, sha256 });
      if (removal.kind === 'removed') return reply.status(204).send();
      const operations = removal.operations.slice(0, OPERATIONS_NAMED);
      const what = operations.length === 0 ? 'It is just being removed.' : `In use by ${operations.join(', ')}.`;
      throw new Problem('ARTIFACT_IN_USE', what, operations.length === 0 ? {} : { operations });
    },
  );
}
