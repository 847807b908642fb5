/** What is asked of a station over REST, for one of them or for many: the body of an order as a submission. */
import type { Intake } from '@khumbu/intake/intake';
import { copyFolder } from '@khumbu/operations/log-copies/log-copy';
import type { FirmwareUpdateOrderSchema, LogUploadOrderSchema, ResetOrderSchema } from '@khumbu/rest-contract/orders';
import { artifactLocation, artifactOf } from '@khumbu/shared/locations/artifact-location';
import type { Static } from 'typebox';
import { type Artifacts, requireArtifact } from './artifacts/artifacts.js';
import { Problem } from './problems.js';
import type { Submission } from './submit-operation.js';

/** REST has no request id on the wire; EVerest gets -1, as for any update it did not request. */
export const REST_REQUEST_ID = -1;

export type FirmwareUpdateOrder = Static<typeof FirmwareUpdateOrderSchema>;
export type LogUploadOrder = Static<typeof LogUploadOrderSchema>;
export type ResetOrder = Static<typeof ResetOrderSchema>;

/** The order for one station. */
export type SubmissionFor = (station: string) => Submission;

/** Rejects with `BODY_INVALID` for an order that names both or none, `ARTIFACT_UNKNOWN` for what is not here. */
async function locationOfOrder(
  { location, artifact }: FirmwareUpdateOrder,
  artifacts: Artifacts,
  pointer: string,
): Promise<string> {
  if ((location === undefined) === (artifact === undefined)) {
    const detail = 'it needs either location or artifact';
    throw new Problem('BODY_INVALID', `the body ${detail}`, { errors: [{ detail, pointer, rule: 'oneOf' }] });
  }
  const wanted = location ?? artifactLocation(artifact ?? '');
  const sha256 = artifactOf(wanted);
  if (sha256 !== undefined) await requireArtifact(artifacts, sha256);
  return wanted;
}

/** `pointer`: where the order stands in the body. */
export async function updateSubmission(
  body: FirmwareUpdateOrder,
  { intake, artifacts }: { readonly intake: Intake; readonly artifacts: Artifacts },
  pointer = '#',
): Promise<SubmissionFor> {
  const { replace, title, allowInstallation, artifact: _artifact, ...order } = body;
  const location = await locationOfOrder(body, artifacts, pointer);
  const update = { ...order, location, request_id: REST_REQUEST_ID };
  return (station) => ({
    what: 'update_firmware',
    station,
    replace,
    title,
    allowsInstallation: allowInstallation,
    given: { order: body, pointer },
    decide: (requester) => intake.updateFirmware(update, requester),
  });
}

/** Where logs go when the request names no location. */
const depotLogLocation = (bucket: string, station: string): string => `s3://${bucket}/${copyFolder(station)}`;

/** Throws `NO_OBJECT_STORE` for an order without location in a depot without one. `pointer`: as for an update. */
export function logSubmission(
  body: LogUploadOrder,
  { intake, archives }: { readonly intake: Intake; readonly archives: { readonly bucket: string } | undefined },
  pointer = '#',
): SubmissionFor {
  const { replace, title, location, ...order } = body;
  if (location === undefined && archives === undefined)
    throw new Problem('NO_OBJECT_STORE', undefined, {
      errors: [{ detail: 'location is missing', pointer: `${pointer}/location`, rule: 'required' }],
    });
  const placeOf = (station: string): string => location ?? depotLogLocation(archives?.bucket ?? '', station);
  return (station) => ({
    what: 'upload_logs',
    station,
    replace,
    title,
    given: { order: body, pointer },
    decide: (requester) => intake.uploadLogs({ ...order, location: placeOf(station) }, requester),
  });
}

/** `pointer`: as for an update. */
export function resetSubmission(
  body: ResetOrder,
  { intake }: { readonly intake: Intake },
  pointer = '#',
): SubmissionFor {
  const { replace, title, ...order } = body;
  return (station) => ({
    what: 'reset',
    station,
    replace,
    title,
    given: { order: body, pointer },
    decide: (requester) => intake.reset(order, requester),
  });
}
