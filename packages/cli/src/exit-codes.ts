/** How the command ends, as one table; docs/cli.md shows it. Scripts may rely on the numbers. */
export const EXITS = {
  done: { code: 0, meaning: 'Done; what was waited for went well.' },
  failed: {
    code: 1,
    meaning: 'What was waited for ended badly, or a check has found something wrong.',
  },
  usage: { code: 2, meaning: 'Called wrongly: arguments, settings, files of the command line.' },
  refused: { code: 3, meaning: 'The depot has refused it, or does not know what it is about (404, 409, 422).' },
  denied: { code: 4, meaning: 'No key, one that is not known, or one without the scope (401, 403).' },
  unreachable: {
    code: 5,
    meaning: 'The depot, or the store of its archives, did not answer or could not now (429, 5xx).',
  },
  unsupported: { code: 6, meaning: 'This depot cannot do that: nothing was asked of it.' },
  timeout: { code: 7, meaning: '`--timeout` is over; what was asked for goes on.' },
  internal: { code: 70, meaning: 'A fault of the command itself.' },
  interrupted: { code: 130, meaning: 'Ctrl-C, or the end of whoever reads; what was asked for goes on.' },
} as const;

export type Exit = keyof typeof EXITS;
