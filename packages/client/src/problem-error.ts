import type { Problem } from './generated/rest-api.js';

export type ProblemCode = Problem['code'];

/**
 * What Khumbu answered in place of what was asked for: decide by `code`, it is stable; `message` is for people. `UNREADABLE`:
 * the answer was no problem of Khumbu, as of a proxy in between.
 */
export class ProblemError extends Error {
  readonly code: ProblemCode | 'UNREADABLE';
  readonly status: number;
  /** `Retry-After`, as it came. */
  readonly retryAfter: string | null;
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined, retryAfter: string | null = null) {
    super(problem ? (problem.detail ?? problem.title) : `HTTP ${status}, without a word of Khumbu`);
    this.name = 'ProblemError';
    this.code = problem?.code ?? 'UNREADABLE';
    this.status = status;
    this.retryAfter = retryAfter;
    this.problem = problem;
  }
}

const isProblem = (value: unknown): value is Problem =>
  typeof value === 'object' && value !== null && 'code' in value && 'title' in value;

/** Reads the body. Never throws: what cannot be read is `UNREADABLE`. */
export async function problemOf(response: Response): Promise<ProblemError> {
  const body: unknown = await response.json().catch(() => undefined);
  return new ProblemError(response.status, isProblem(body) ? body : undefined, response.headers.get('retry-after'));
}
