/** The thread behind `createJudges`: one certificate text after the other. */
import { parentPort } from 'node:worker_threads';
import { certificateFromDer } from './certificate.js';
import { type ChainPolicy, type ChainVerdict, checkChain, checkLeaf, isClockSane } from './chain.js';
import { crlFromDer } from './crl.js';
import type { TrustMaterial } from './roots.js';

/** As in the stations file: `chain` to a configured root, or `any` certificate that can be read. */
export type CertificateRule = 'chain' | 'any';

export type ToJudge =
  /** What to judge by from now on: DER. */
  | {
      readonly kind: 'material';
      readonly roots: readonly Uint8Array[];
      readonly crls: readonly Uint8Array[];
      readonly policy: Required<ChainPolicy>;
    }
  | {
      readonly kind: 'judge';
      readonly text: string;
      readonly rule: CertificateRule;
      /** Milliseconds since 1970. */
      readonly now: number;
    };

export type FromJudge =
  /** The material is read. */
  { readonly kind: 'ready' } | { readonly kind: 'verdict'; readonly verdict: ChainVerdict };

type Material = TrustMaterial & Pick<ToJudge & { kind: 'material' }, 'policy'>;
let material: Material | undefined;
const post = (message: FromJudge): void => parentPort?.postMessage(message);
const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function judge({ text, rule, now }: ToJudge & { kind: 'judge' }): ChainVerdict {
  if (!material) throw new TypeError('there is nothing to judge by yet');
  const { roots, crls, policy } = material;
  if (rule === 'any') return checkLeaf(text, policy.strength);
  const at = new Date(now);
  return checkChain(text, { roots, crls, ...policy, now: at, clockSane: isClockSane(at) });
}

parentPort?.on('message', (message: ToJudge) => {
  if (message.kind === 'judge') {
    post({ kind: 'verdict', verdict: judge(message) });
    return;
  }
  material = {
    roots: message.roots.map((der) => certificateFromDer(bufferOf(der))),
    crls: message.crls.map((der) => crlFromDer(bufferOf(der))),
    policy: message.policy,
  };
  post({ kind: 'ready' });
});
