/** Faults of the depot's own object store. */
import type { LocationScheme } from '@khumbu/shared/locations/location';
import { again, type Fault, final, upload } from './fault.js';

const S3: readonly LocationScheme[] = ['s3'];

export const S3_FAULTS: readonly Fault[] = [
  {
    schemes: S3,
    fault:
      'The location is more or less than s3://bucket/key, or its key is not one and the same place for every server.',
    ...final('location_refused'),
    ...upload('BadMessage', 'location_unusable'),
    advice: 'Write it as s3://bucket/key, without query, port and user.',
  },
  {
    schemes: S3,
    fault: 'The depot has no object store.',
    ...final('scheme_unsupported'),
    ...upload('NotSupportedOperation', 'not_supported'),
    advice: 'Set `S3_ENDPOINT`, or use another scheme.',
  },
  {
    schemes: S3,
    fault: 'The store cannot be reached, is overloaded or out of order, or breaks off.',
    ...again('http_503'),
    ...upload('UploadFailure', 's3_unavailable'),
    advice: 'Look whether the store runs at `S3_ENDPOINT`, at its log and at its disk.',
  },
  {
    schemes: S3,
    fault: 'The port of the store is closed.',
    ...again('connect'),
    ...upload('UploadFailure', 's3_unavailable'),
    advice: 'Start the store, or correct `S3_ENDPOINT`.',
  },
  {
    schemes: S3,
    fault: 'The name of the store cannot be resolved.',
    ...again('dns'),
    ...upload('UploadFailure', 's3_unavailable'),
    advice: 'Correct `S3_ENDPOINT`.',
  },
  {
    schemes: S3,
    fault: 'The certificate of the store is not trusted.',
    ...again('tls'),
    ...upload('UploadFailure', 's3_unavailable'),
    advice: 'Put its authority into `NODE_EXTRA_CA_CERTS`.',
  },
  {
    schemes: S3,
    fault: 'The store sends nothing for the stall limit.',
    ...again('stalled'),
    ...upload('UploadFailure', 's3_unavailable'),
    advice: 'Look at the log of the store and at its disk.',
  },
  {
    schemes: S3,
    fault: 'The store breaks off in the object.',
    ...again('cut'),
    ...upload('UploadFailure', 's3_unavailable'),
    advice: 'Nothing, if it is rare: the next try goes on where this one stopped.',
  },
  {
    schemes: S3,
    fault: 'The store denies it: keys, rights, or a clock that is wrong.',
    ...again('http_403'),
    ...upload('PermissionDenied', 's3_denied'),
    advice: 'Check `S3_ACCESS_KEY`, `S3_SECRET_KEY`, their rights, and the clocks of both hosts.',
  },
  {
    schemes: S3,
    fault: 'There is no such bucket.',
    ...final('http_404'),
    ...upload('UploadFailure', 's3_no_such_bucket'),
    advice: 'Make the bucket, or correct `S3_BUCKET` or the location.',
  },
  {
    schemes: S3,
    fault: 'There is no such object.',
    ...final('http_404'),
    ...upload('UploadFailure', 's3_no_such_key'),
    advice: 'Put the object there, or correct the key in the location.',
  },
  {
    schemes: S3,
    fault: 'The bucket is in another region.',
    ...final('s3_wrong_region'),
    ...upload('UploadFailure', 's3_wrong_region', false),
    advice: 'Set `S3_REGION` to the one in the message.',
  },
  {
    schemes: S3,
    fault: 'The bucket is at another endpoint.',
    ...final('s3_wrong_endpoint'),
    ...upload('UploadFailure', 's3_wrong_endpoint', false),
    advice: 'Set `S3_ENDPOINT` and `S3_REGION` to where the bucket is.',
  },
  {
    schemes: S3,
    fault: 'The store or its bucket is full.',
    ...upload('UploadFailure', 's3_quota'),
    advice: 'Raise the quota, or make room.',
  },
  {
    schemes: S3,
    fault: 'The upload was ended by somebody else.',
    ...upload('UploadFailure', 's3_no_such_upload'),
    advice: 'Nothing: the next try begins a new one. If it comes again, look who clears uploads away.',
  },
  {
    schemes: S3,
    fault: 'The store does not accept the request.',
    ...final('http_400'),
    ...upload('UploadFailure', 's3_bad_request', false),
    advice: 'Look at the log of the store.',
  },
  {
    schemes: S3,
    fault: 'The store lacks what an upload needs.',
    ...upload('NotSupportedOperation', 's3_not_supported'),
    advice: 'Use a store that has multipart uploads.',
  },
];
