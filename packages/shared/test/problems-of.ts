import { hasCode } from '@khumbu/shared/runtime/errors';

/** What the refusal of settings or of a stations file says. */
export const problemsOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return hasCode(error, 'CONFIG_INVALID', 'STATIONS_FILE_INVALID')
      ? (error as Error).message
      : `not coded: ${String(error)}`;
  }
  return 'none';
};
