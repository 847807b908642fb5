/** `khumbu campaign`: there are none yet, and scripts are told so by an exit code of its own. */
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags } from '../context.js';
import { Failure } from '../failure.js';
import { JSON_FLAG, text } from './flags.js';

export const campaign = buildCommand<OutputFlags, readonly string[], CliContext>({
  docs: {
    brief: 'Updates of many stations in waves: this version has none',
    fullDescription: 'Ends with 6. Until then: `khumbu update` for each station.',
  },
  parameters: {
    flags: JSON_FLAG,
    positional: { kind: 'array', parameter: { brief: 'Ignored', placeholder: 'argument', parse: text } },
  },
  func: acting(() => {
    throw new Failure(
      'unsupported',
      'NO_CAMPAIGNS',
      'this version of Khumbu has no campaigns: update station by station with `khumbu update`',
    );
  }),
});
