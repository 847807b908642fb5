/** What a failed sign-in comes to: a word for the browser, and the reason for the log. */
import type { SignInFailure } from '@khumbu/rest-contract/sign-in';
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';

export class SignInFailed extends CodedError {
  declare readonly code: SignInFailure;
  constructor(code: SignInFailure, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'SignInFailed';
  }
}

/** Errors that the provider answers with: RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core, 3.1.2.6. Others: it was asked wrongly. */
const OF_ANSWER: Readonly<Record<string, SignInFailure>> = {
  access_denied: 'DENIED',
  login_required: 'DENIED',
  interaction_required: 'DENIED',
  account_selection_required: 'DENIED',
  consent_required: 'DENIED',
  server_error: 'PROVIDER_UNREACHABLE',
  temporarily_unavailable: 'PROVIDER_UNREACHABLE',
  // The code was used, or is too old.
  invalid_grant: 'SIGN_IN_LOST',
};
/** Codes of the library. */
const OF_LIBRARY: Readonly<Record<string, SignInFailure>> = {
  OAUTH_WWW_AUTHENTICATE_CHALLENGE: 'NOT_SET_UP',
  OAUTH_MISSING_SERVER_METADATA: 'NOT_SET_UP',
  OAUTH_INVALID_SERVER_METADATA: 'NOT_SET_UP',
  OAUTH_HTTP_REQUEST_FORBIDDEN: 'NOT_SET_UP',
  OAUTH_RESPONSE_IS_NOT_CONFORM: 'PROVIDER_UNREACHABLE',
  OAUTH_RESPONSE_IS_NOT_JSON: 'PROVIDER_UNREACHABLE',
  OAUTH_PARSE_ERROR: 'PROVIDER_UNREACHABLE',
  OAUTH_JWT_TIMESTAMP_CHECK_FAILED: 'CLOCKS_DIFFER',
  OAUTH_JWT_CLAIM_COMPARISON_FAILED: 'ID_TOKEN_REFUSED',
  OAUTH_INVALID_RESPONSE: 'ID_TOKEN_REFUSED',
  OAUTH_KEY_SELECTION_FAILED: 'ID_TOKEN_REFUSED',
  OAUTH_UNSUPPORTED_OPERATION: 'ID_TOKEN_REFUSED',
  OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED: 'ID_TOKEN_REFUSED',
};
/** What says more than the text of the library. */
const REASONS: Readonly<Record<string, string>> = {
  // RFC 6749, 5.2 and RFC 6750, 3: a 401, of whose body the library reads nothing.
  OAUTH_WWW_AUTHENTICATE_CHALLENGE:
    'the provider does not take what it was sent to prove who asks: client id and secret, or at its userinfo endpoint the access token',
};
const LONGEST_REASON = 500;

interface FromProvider extends Error {
  readonly code?: unknown;
  readonly error?: unknown;
  readonly error_description?: unknown;
}

/** The error and those it came from; what is no error among the causes may hold tokens, and is passed over. */
function chainOf(error: unknown): FromProvider[] {
  const chain: FromProvider[] = [];
  for (let at = error; at instanceof Error && !chain.includes(at); at = at.cause) chain.push(at);
  return chain;
}

/** For the log; no token, no secret. */
export function reasonOf(error: unknown): string {
  const chain = chainOf(error);
  // Errors of ours say all; the library wraps them in one that says nothing.
  const ours = chain.findIndex((one) => one instanceof CodedError);
  const texts = (ours < 0 ? chain : chain.slice(ours, ours + 1)).flatMap((one) => [
    REASONS[String(one.code)] ?? describeError(one),
    ...[one.error, one.error_description].filter((text) => typeof text === 'string'),
  ]);
  return [...new Set(texts)].join(': ').slice(0, LONGEST_REASON);
}

/** `undefined`: a surprise. Pure. */
export function failureOf(error: unknown): SignInFailure | undefined {
  for (const one of chainOf(error)) {
    if (one instanceof SignInFailed) return one.code;
    if (hasCode(one, 'PROVIDER_UNREACHABLE', 'PROVIDER_REFUSED')) return 'PROVIDER_UNREACHABLE';
    if (hasCode(one, 'NOT_STORED')) return 'NOT_STORED';
    if (typeof one.error === 'string') return OF_ANSWER[one.error] ?? 'NOT_SET_UP';
    const failure = typeof one.code === 'string' ? OF_LIBRARY[one.code] : undefined;
    if (failure) return failure;
  }
  return undefined;
}
