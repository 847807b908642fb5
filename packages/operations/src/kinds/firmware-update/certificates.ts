/**
 * What EVerest's certificate store answers: which kinds of certificates of its own it has. Asked by the leader, at the wish of
 * a worker; kept with the station until the next answer. Nothing else of an answer is kept: it names files, and may hold the
 * password of a key. Pure.
 */
import type { CertificateLeaf } from '@khumbu/shared/contract/topics';

/** The status of each kind; absent: no answer. */
export type LeafAnswers = Partial<Readonly<Record<CertificateLeaf, string>>>;

/** `ambiguous`: another station has the same module id, and neither is asked while that is so. */
export type StoreAnswers = LeafAnswers | 'ambiguous';

/** What a record keeps of it; times on the depot's monotonic clock. */
export interface CertificateEvidence {
  readonly before: LeafAnswers;
  /** When the host was first seen in the new image. */
  readonly bootedAt?: number;
  /** When EVerest was first seen back. */
  readonly backAt?: number;
}

const leavesOf = (answers: LeafAnswers): CertificateLeaf[] => Object.keys(answers) as CertificateLeaf[];

export const hasAnswered = (answers: StoreAnswers | undefined): answers is LeafAnswers =>
  typeof answers === 'object' && leavesOf(answers).length > 0;

/**
 * What is worse than before: no answer where there was one, or no certificate where there was one. Other differences are the
 * store's own business: certificates are renewed and removed at any time.
 */
export const worseThan = (before: LeafAnswers, after: LeafAnswers): CertificateLeaf[] =>
  leavesOf(before).filter(
    (leaf) => after[leaf] === undefined || (before[leaf] === 'Accepted' && after[leaf] !== 'Accepted'),
  );

/** For people. */
export const certificateText = (leaves: readonly CertificateLeaf[], answers: LeafAnswers): string =>
  leaves.map((leaf) => `${leaf}: ${answers[leaf] ?? 'no answer'}`).join(', ');
