/** Secrets of a request, taken out of what a station says about it: its programs may quote what they were given. Pure. */
import { maskedText, type StationText } from '../station-text.js';

/** Members of `APN` and `VPN` in the contract that hold secrets, and what else makers may put there. */
const SECRET_NAME = /password|passphrase|secret|token|pin$|^pin|key|psk/i;
const HIDDEN = '***';

function secretsIn(value: unknown, isSecret = false): readonly string[] {
  if (typeof value === 'string' || typeof value === 'number') return isSecret && value !== '' ? [String(value)] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => secretsIn(member, isSecret || SECRET_NAME.test(name)));
}

/** The text without the secrets of the request, as they are or as JSON writes them. */
export function withoutSecretsOf(request: unknown, text: string): string {
  const forms = secretsIn(request).flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  return forms.sort((a, b) => b.length - a.length).reduce((said, secret) => said.replaceAll(secret, HIDDEN), text);
}

/** For whatever a station says of a request: in an answer, an error, the words of a command that was ended. */
export const withoutSecrets = (texts: StationText, request: unknown): StationText =>
  maskedText(texts, (said) => withoutSecretsOf(request, said));
