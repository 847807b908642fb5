/** A signed image and a server of its own for it: the same for us and for the baseline. */
import { constants, createCipheriv, createHash, createSign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { selfSigned } from '@khumbu/test-support/certificates';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import type { SignatureScheme } from '@khumbu/test-support/firmware';

const SERVER = fileURLToPath(new URL('./file-server.js', import.meta.url));
const PIECE = Buffer.alloc(1024 * 1024);
const START_MS = 10_000;

/** The signature of the image by one scheme. */
export interface OriginSignature {
  readonly signed: { readonly signing_certificate: string; readonly signature: string };
  /** Files for `openssl dgst -verify`, and what it must be told of the scheme. */
  readonly publicKeyFile: string;
  readonly signatureFile: string;
  readonly opensslOptions: string;
}

export interface FirmwareOrigin extends Pick<OriginSignature, 'signed'> {
  readonly sizeBytes: number;
  /** The image itself. */
  readonly imageFile: string;
  /** Another location for the same bytes each time, so that nothing is there already. */
  location(): string;
  /** The same, for other bytes of that size each time: nobody has signed them. */
  differentLocation(): string;
  /** By each of the schemes that were asked for. */
  by(scheme: SignatureScheme): OriginSignature;
  /** Bytes it has sent so far. */
  sentBytes(): Promise<number>;
}

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const PSS_OPTIONS = '-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:auto';

/** Bytes that look random, the same for the same size and name; resolves with what has seen all of them. */
async function writeImage(path: string, sizeBytes: number, name: string, signerCount: number) {
  const cipher = createCipheriv('aes-256-ctr', createHash('sha256').update(name).digest(), Buffer.alloc(16));
  const signers = Array.from({ length: signerCount }, () => createSign('sha256'));
  const file = createWriteStream(path);
  for (let left = sizeBytes; left > 0; left -= PIECE.length) {
    const bytes = cipher.update(PIECE.subarray(0, Math.min(left, PIECE.length)));
    for (const signer of signers) signer.update(bytes);
    if (!file.write(bytes)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  return signers;
}

let origins = 0;

/**
 * `schemes`: RSA with PKCS#1 v1.5 by default, as EVerest's own tools and `openssl dgst -sign` do it; `signed` is by the
 * first of them. `cleanup` ends it.
 */
export async function startFirmwareOrigin(
  cleanup: Cleanup,
  dir: string,
  sizeBytes: number,
  schemes: readonly SignatureScheme[] = ['rsa-pkcs1'],
): Promise<FirmwareOrigin> {
  origins += 1;
  const name = `image-${origins}`;
  const at = (kind: string): string => join(dir, `${name}.${kind}`);
  const signers = await writeImage(at('bin'), sizeBytes, name, schemes.length);
  const signatures = new Map<SignatureScheme, OriginSignature>();
  for (const [index, signer] of signers.entries()) {
    const scheme = schemes[index] as SignatureScheme;
    const key = scheme === 'ecdsa' ? 'ecdsa' : 'rsa';
    const { certificatePem, keyPem } = await selfSigned(dir, `${name}-${scheme}`, { key });
    const signature = signer.sign({ key: keyPem, ...(scheme === 'rsa-pss' ? PSS : {}) });
    const files = { publicKeyFile: at(`${scheme}.pub`), signatureFile: at(`${scheme}.sig`) };
    writeFileSync(files.signatureFile, signature);
    const { publicKey } = new X509Certificate(certificatePem);
    writeFileSync(files.publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }));
    const signed = { signing_certificate: certificatePem, signature: signature.toString('base64') };
    signatures.set(scheme, { ...files, signed, opensslOptions: scheme === 'rsa-pss' ? PSS_OPTIONS : '' });
  }
  const by = (scheme: SignatureScheme): OriginSignature => {
    const signature = signatures.get(scheme);
    if (!signature) throw new TypeError(`the image is not signed by ${scheme}`);
    return signature;
  };
  const child = await startChild(process.execPath, [SERVER, at('bin')], { env: { ...process.env, NODE_OPTIONS: '' } });
  cleanup.teardown(() => child.end('SIGKILL'));
  const port = await awaitUntil(() => child.stdout().trim() || undefined, START_MS, 'the firmware server to listen');
  const url = `http://127.0.0.1:${port}`;
  let asked = 0;
  const nextPath = (): string => {
    asked += 1;
    return `firmware-${asked}.bin`;
  };
  return {
    sizeBytes,
    location: () => `${url}/${nextPath()}`,
    differentLocation: () => `${url}/different/${nextPath()}`,
    imageFile: at('bin'),
    by,
    signed: by(schemes[0] as SignatureScheme).signed,
    async sentBytes() {
      return Number(await (await fetch(`${url}/sent`)).text());
    },
  };
}
