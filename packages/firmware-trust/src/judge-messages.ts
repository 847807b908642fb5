/** What the thread that judges certificates is told, and what it says. */
import type { ChainPolicy, ChainVerdict } from './chain.js';

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
