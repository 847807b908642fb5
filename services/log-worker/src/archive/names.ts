/** What a rule finds in the name of a file: who made it may have put a token or a MAC address into it. Pure. */
import type { Redactor } from '@khumbu/log-redaction/redactor';

/** Where a name was made plain `:` has become `_`; `-` or `_` may stand before the address, and behind it with a number. */
const MAC_IN_NAME = /(?<![0-9a-z])[0-9a-f]{2}([:_-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}(?![0-9a-z])/gi;

/** `text`: a name, or words around one. */
export const redactedNames = (text: string, redactor: Redactor): string =>
  redactor.text(text).replaceAll(MAC_IN_NAME, (found) => {
    const address = found.replaceAll('_', '-');
    const hidden = redactor.text(address);
    // The rule is not asked for.
    return hidden === address ? found : hidden;
  });
