/** `npm run up`: the whole cluster in one command. Prepared here, run by packages/embedded-run. */
import { main, prepare } from './prepare.mjs';

await main(async () => {
  // Whoever reads the line of JSON wants that alone.
  const isQuiet = ['1', 'true'].includes(process.env.UP_JSON ?? '');
  await prepare({ quiet: isQuiet });
  // In this very process, so that a signal has one place to go.
  await import('../packages/embedded-run/dist/bundle/main.js');
});
