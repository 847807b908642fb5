import { CodedError } from '@khumbu/shared/runtime/errors';

const PLAIN = /^[A-Za-z0-9_./:=@%+,-]+$/;

/**
 * An argument vector for the login shell at the other end, which must be a POSIX one. Single quotes protect everything
 * but themselves (POSIX, Shell Command Language, 2.2.2). Pure; throws `ARGUMENT_REFUSED` for what no argument can hold.
 */
export function quoteArgv(argv: readonly string[]): string {
  return argv
    .map((word) => {
      if (word.includes('\0')) throw new CodedError('ARGUMENT_REFUSED', 'a word of a command holds a zero byte');
      return PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
    })
    .join(' ');
}
