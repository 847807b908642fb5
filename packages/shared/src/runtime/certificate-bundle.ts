/**
 * Files with certificates for TLS, read completely or not at all: OpenSSL takes what stands before the first damage, and
 * says nothing. RFC 7468.
 */
import { X509Certificate } from 'node:crypto';
import { CodedError, describeError } from './errors.js';
import { type FileReports, type FollowedFile, followFile, textOf } from './followed-file.js';

/** `TRUSTED CERTIFICATE` holds more than a certificate: OpenSSL takes it for an authority, and Node cannot read it alone. */
const CERTIFICATE = /^(?:X509 )?CERTIFICATE$/;
const MARKER = /^-----(BEGIN|END) ([A-Z0-9 ]+)-----\s*$/;
/** What was meant as a marker, or is a part of an entry that lost the lines around it. */
const LEFTOVER = /-----|\b(?:BEGIN|END) [A-Z0-9 ]*(?:CERTIFICATE|KEY|CRL)\b|^[A-Za-z0-9+/]{40,}={0,2}\s*$/;

const invalid = (line: number, what: string): CodedError => new CodedError('PEM_INVALID', `line ${line}: ${what}`);

/**
 * The certificates of a text, in order. Entries with other labels, such as keys, must be whole and are left out; so is text
 * around the entries. Throws `PEM_INVALID` with the line, also where there is no certificate. Pure.
 */
export function readCertificateBundle(text: string): X509Certificate[] {
  const certificates: X509Certificate[] = [];
  let open: { readonly label: string; readonly line: number; readonly lines: string[] } | undefined;
  for (const [index, content] of text.split(/\r\n|\n|\r/).entries()) {
    const line = index + 1;
    const [, kind, label = ''] = MARKER.exec(content) ?? [];
    if (kind === undefined) {
      if (LEFTOVER.test(content) && (!open || content.includes('-----')))
        throw invalid(line, 'a part of an entry that is not whole');
      open?.lines.push(content);
    } else if (kind === 'BEGIN') {
      if (open) throw invalid(open.line, `the entry "${open.label}" has no END line`);
      open = { label, line, lines: [content] };
    } else {
      if (open?.label !== label) throw invalid(line, `an END line of "${label}" without its BEGIN line`);
      if (CERTIFICATE.test(label)) {
        try {
          certificates.push(new X509Certificate([...open.lines, content, ''].join('\n')));
        } catch (error) {
          throw invalid(open.line, `the certificate cannot be read: ${describeError(error)}`);
        }
      }
      open = undefined;
    }
  }
  if (open) throw invalid(open.line, `the entry "${open.label}" has no END line`);
  if (certificates.length === 0) throw new CodedError('PEM_INVALID', 'there is no certificate in it');
  return certificates;
}

/**
 * Follow a file of authorities for TLS connections; `current` is its text, for `ca`. `undefined`: none is set. Throws
 * `CONFIG_INVALID` for a bad file at the start.
 */
export function followAuthorities(
  setting: string,
  path: string | undefined,
  reports: FileReports,
): FollowedFile<string> | undefined {
  if (path === undefined) return undefined;
  const read = (bytes: Buffer): string => {
    const text = textOf(bytes);
    readCertificateBundle(text);
    return text;
  };
  return followFile({ setting, path, read, code: 'CONFIG_INVALID', reports });
}
