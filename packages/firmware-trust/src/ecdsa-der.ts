/** ECDSA signatures as two numbers side by side (IEEE P1363), in the form that OpenSSL reads. */

const TAG = { sequence: 0x30, integer: 0x02 } as const;

function element(tag: number, content: Buffer): Buffer {
  // Of curves up to 521 bits: no content is longer than 255 bytes.
  const length = content.length < 0x80 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** The shortest form, positive (X.690, 8.3). */
function integer(number: Buffer): Buffer {
  let start = 0;
  while (start < number.length - 1 && number[start] === 0) start += 1;
  const digits = number.subarray(start);
  return element(TAG.integer, (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

/** `Ecdsa-Sig-Value` (RFC 3279, 2.2.3) of `r || s`; `undefined`: those of this curve have another length. Pure. */
export function ecdsaDer(raw: Buffer, orderBytes: number): Buffer | undefined {
  if (raw.length !== 2 * orderBytes) return undefined;
  const [r, s] = [raw.subarray(0, orderBytes), raw.subarray(orderBytes)];
  return element(TAG.sequence, Buffer.concat([integer(r), integer(s)]));
}
