/**
 * A body as it goes to an HTTP server: the method, and what is said of the content. OCPP 2.x N01.FR.18, FR.19: servers should
 * take PUT and POST; a POST has at least Content-Type and Content-Disposition with the name of the file.
 */
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { HttpMethod, UploadBody } from '../../port.js';

export interface SentBody {
  readonly method: 'PUT' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  /** Of all that is sent: a form has more than its content. */
  readonly size: number;
  open(): Promise<Readable> | Readable;
}

/** As the example of OCPP (N01.FR.19) has it. */
const FIELD = 'uploadedfile';

const plain = (name: string): string => name.replace(/[^\x20-\x7e]|["\\]/g, '_');
const isPlain = (name: string): boolean => plain(name) === name;
/** RFC 8187, 3.2.1: what `encodeURIComponent` leaves that is no `attr-char`. */
const extended = (name: string): string =>
  encodeURIComponent(name.replace(/\p{Surrogate}/gu, '_')).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** RFC 6266, 4.1. */
const attachment = (name: string): string =>
  `attachment; filename="${plain(name)}"${isPlain(name) ? '' : `; filename*=UTF-8''${extended(name)}`}`;

function asForm(body: UploadBody, size: number): SentBody {
  const { contentType, fileName } = body;
  // By chance in no content.
  const boundary = `khumbu-${randomBytes(12).toString('hex')}`;
  const named = `form-data; name="${FIELD}"; filename="${plain(fileName ?? 'upload')}"`;
  const head = Buffer.from(`--${boundary}\r\nContent-Disposition: ${named}\r\nContent-Type: ${contentType}\r\n\r\n`);
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* parts(): AsyncGenerator<Buffer> {
    yield head;
    yield* (await body.open()) as AsyncIterable<Buffer>;
    yield tail;
  }
  return {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    size: head.length + size + tail.length,
    open: () => Readable.from(parts(), { objectMode: false }),
  };
}

/** `isNamed`: with Content-Disposition. */
export function sentBody(body: UploadBody, size: number, method: HttpMethod, isNamed: boolean): SentBody {
  if (method === 'form') return asForm(body, size);
  const { contentType, fileName } = body;
  const disposition = isNamed && fileName !== undefined ? { 'content-disposition': attachment(fileName) } : {};
  return {
    method: method === 'put' ? 'PUT' : 'POST',
    headers: { 'content-type': contentType, ...disposition },
    size,
    open: () => body.open(),
  };
}
