/** A signed image and a server of its own for it: the same for us and for the baseline. */
import { createCipheriv, createHash, createSign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { selfSigned } from '@khumbu/test-support/certificates';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';

const SERVER = fileURLToPath(new URL('./file-server.js', import.meta.url));
const PIECE = Buffer.alloc(1024 * 1024);
const START_MS = 10_000;

export interface FirmwareOrigin {
  readonly sizeBytes: number;
  /** Another location for the same bytes each time, so that nothing is there already. */
  location(): string;
  readonly signed: { readonly signing_certificate: string; readonly signature: string };
  /** Files for `openssl dgst -verify`. */
  readonly publicKeyFile: string;
  readonly signatureFile: string;
  /** Bytes it has sent so far. */
  sentBytes(): Promise<number>;
}

/** Bytes that look random, the same for the same size and name; resolves with their signature over SHA-256. */
async function writeImage(path: string, sizeBytes: number, name: string, keyPem: string): Promise<Buffer> {
  const cipher = createCipheriv('aes-256-ctr', createHash('sha256').update(name).digest(), Buffer.alloc(16));
  const signer = createSign('sha256');
  const file = createWriteStream(path);
  for (let left = sizeBytes; left > 0; left -= PIECE.length) {
    const bytes = cipher.update(PIECE.subarray(0, Math.min(left, PIECE.length)));
    signer.update(bytes);
    if (!file.write(bytes)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
  return signer.sign(keyPem);
}

let origins = 0;

/** RSA with PKCS#1 v1.5, as EVerest's own tools and `openssl dgst -sign` do it. `cleanup` ends it. */
export async function startFirmwareOrigin(cleanup: Cleanup, dir: string, sizeBytes: number): Promise<FirmwareOrigin> {
  origins += 1;
  const name = `image-${origins}`;
  const at = (kind: string): string => join(dir, `${name}.${kind}`);
  const certificate = await selfSigned(dir, name, { key: 'rsa' });
  const signature = await writeImage(at('bin'), sizeBytes, name, certificate.keyPem);
  writeFileSync(at('sig'), signature);
  const { publicKey } = new X509Certificate(certificate.certificatePem);
  writeFileSync(at('pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const child = await startChild(process.execPath, [SERVER, at('bin')], { env: { ...process.env, NODE_OPTIONS: '' } });
  cleanup.teardown(() => child.end('SIGKILL'));
  const port = await awaitUntil(() => child.stdout().trim() || undefined, START_MS, 'the firmware server to listen');
  const url = `http://127.0.0.1:${port}`;
  let asked = 0;
  return {
    sizeBytes,
    location() {
      asked += 1;
      return `${url}/firmware-${asked}.bin`;
    },
    signed: { signing_certificate: certificate.certificatePem, signature: signature.toString('base64') },
    publicKeyFile: at('pub'),
    signatureFile: at('sig'),
    async sentBytes() {
      return Number(await (await fetch(`${url}/sent`)).text());
    },
  };
}
