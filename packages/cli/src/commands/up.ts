/** `khumbu up`: the whole depot on this machine, as `npm run up`. */
import { buildCommand } from '@stricli/core';
import { acting, type CliContext, type OutputFlags } from '../context.js';
import { JSON_FLAG } from './flags.js';

const SCRIPT = new URL('../../../../../scripts/up.mjs', import.meta.url);

export const up = buildCommand<OutputFlags, readonly [], CliContext>({
  docs: {
    brief: 'Run a whole depot on this machine, with simulated stations',
    fullDescription:
      'Until Ctrl-C. Ports, folders and numbers are environment variables: docs/configuration.md. --json: one line with URLs and the key once it is ready, as UP_JSON=1. Not for production.',
  },
  parameters: { flags: JSON_FLAG },
  func: acting(async (_context, { json }) => {
    if (json) process.env.UP_JSON = '1';
    // It ends the process itself, once everything has stopped.
    await import(SCRIPT.href);
  }),
});
