/** How secrets are found: what each kind is known by, and where it is in a line that may hold it. */
import type { RedactionRule } from '@khumbu/shared/stations/redact-rules';

/** One line of a log. Bytes are looked at as Latin-1, so an offset in a text is one in the bytes, whatever their encoding. */
export interface Line {
  readonly text: string;
  /** Where it begins among the bytes that are looked at. */
  readonly at: number;
  /** What stands around it: bytes `from` to `to`, cut to what there is. */
  around(from: number, to: number): string;
  /** The same, with blanks where other programs wrote in between; `undefined`: none did, or lines do not say who wrote them. */
  alone(from: number, to: number): string | undefined;
}

/** Offsets among the bytes that are looked at; `to` is not part of it. */
export interface Secret {
  readonly from: number;
  readonly to: number;
  /** Of what the pseudonym is made, so that one value has one in all its spellings; default what is taken out. */
  readonly value?: string;
  /** Taken out without a trace: the pseudonym stands elsewhere. */
  readonly isRest?: boolean;
  /** Where what makes it a secret begins and ends, if not in its own line. */
  readonly context?: readonly [from: number, to: number];
}

export interface Finder {
  readonly rule: RedactionRule;
  /** Stands in the log in place of the secret: `rfid` as `[rfid:5c0ffee123]`. */
  readonly tag: string;
  /** A line without any of them, in capital letters or small ones, has nothing of this kind. At least 4 characters each. */
  readonly marks: readonly string[];
  /** Looked for beside the marks: six pairs of hexadecimal digits with `:` or `-` between them. */
  readonly isMacLike?: true;
  /** Tells each of them, in no order. Not a generator: each of those takes a kilobyte, and there is one for each marked line. */
  readonly find: (line: Line, onSecret: (secret: Secret) => void) => void;
}
