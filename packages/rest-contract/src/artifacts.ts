/** What REST says of the images that the depot holds. */
import { Type } from 'typebox';
import { closed, count, nextCursor, optionalText, optionalTime, text, time } from './members.js';

export const SHA256 = '^[0-9a-f]{64}$';
const hex = (description: string) =>
  text(description, {
    pattern: SHA256,
    examples: ['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
  });

const ArtifactSourceSchema = Type.Object(
  {
    by: Type.Enum(['fetched', 'upload', 'folder'], {
      description: '`fetched` by an update, or brought in by hand: by an `upload`, or from the import `folder`.',
    }),
    from: text('The location, without user, password, query and fragment, or the name of the file.', {
      examples: ['https://files.example/charger-2.1.raucb'],
    }),
    at: time('When it was last found there.'),
  },
  { $id: 'ArtifactSource', description: 'From where an artefact came.' },
);

export const ArtifactSchema = Type.Object(
  {
    sha256: hex('Of all of its bytes.'),
    md5: optionalText('Of those that were brought in by hand.', { examples: ['098f6bcd4621d373cade4e832627b4f6'] }),
    sizeBytes: count('How many bytes it has.'),
    addedAt: time('Since when the depot holds it.'),
    broughtIn: Type.Boolean({
      description: 'true: brought in by hand; it is kept until somebody deletes it, for nothing could fetch it again.',
    }),
    sources: Type.Array(ArtifactSourceSchema, { description: 'From where it came, the latest first, 20 at most.' }),
    stations: Type.Array(Type.String(), {
      description: 'Stations whose updates were given it, the latest first; in lists 10 at most.',
    }),
    stationCount: count('How many stations those are.'),
    uses: count('Updates that were given it.'),
    bytesSaved: count('Bytes that those would have fetched, and did not: the depot had it.'),
    firstUsedAt: optionalTime('When an update was given it first.'),
    lastUsedAt: optionalTime('When an update was given it last.'),
  },
  { $id: 'Artifact', description: 'An image that the depot holds.' },
);
export const ArtifactPageSchema = Type.Object(
  { items: Type.Array(ArtifactSchema), nextCursor },
  { $id: 'ArtifactPage', description: 'A page of artefacts, the newest first.' },
);

export const ArtifactParams = Type.Object({ sha256: hex('SHA-256 of the artefact, lower-case hex.') });

const UPLOAD = {
  location: optionalText(
    'The location whose updates it is for, whatever is there: they get it without a request to that server. User, password, fragment and ignored parameters do not count.',
    { examples: ['ftp://files.example/charger-2.1.raucb'] },
  ),
  name: optionalText('What to show as its source: the name of the file.', { maxLength: 200 }),
};
export const ArtifactPutQuery = Type.Object(UPLOAD, closed);
export const ArtifactPostQuery = Type.Object(
  { sha256: Type.Optional(hex('What it has to be; otherwise nothing is taken.')), ...UPLOAD },
  closed,
);
export const ArtifactUploadHeaders = Type.Object({
  'khumbu-signature': optionalText('base64: the signature over its bytes, as in an update.'),
  'khumbu-certificate': optionalText('base64 of the PEM text of the signing certificate; with `Khumbu-Signature`.'),
});
/** A stream; nothing of it is looked at. */
export const ImageBytesSchema = Type.Unsafe<AsyncIterable<Uint8Array> | undefined>({
  $id: 'ImageBytes',
  description: 'The bytes of an image, as they are.',
});

export const ContentQuery = Type.Object(
  {
    expires: Type.Optional(Type.Integer({ description: 'Of a signed URL: until when, in seconds since 1970.' })),
    signature: optionalText('Of a signed URL: in place of a key.'),
  },
  closed,
);
export const ContentHeadersSchema = Type.Object({
  range: optionalText('RFC 9110, 14.2; several ranges too.', { examples: ['bytes=0-1023'] }),
  'if-range': optionalText('The ETag: ranges only of that.'),
  'if-match': optionalText('ETags.'),
  'if-none-match': optionalText('ETags.'),
});
export const ContentUrlSchema = Type.Object(
  {
    url: text('Works without a key, for GET and HEAD.', { format: 'uri' }),
    expiresAt: time('Until when.'),
    sha256: hex('What it has to be.'),
    sizeBytes: count('How many bytes it has.'),
  },
  { $id: 'ContentUrl', description: 'A signed URL of the bytes of an artefact.' },
);
export const ContentUrlOrderSchema = Type.Object(
  { seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 604_800, description: 'For how long it works.' })) },
  { ...closed, $id: 'ContentUrlOrder', description: 'For how long a URL works.', examples: [{ seconds: 600 }] },
);
