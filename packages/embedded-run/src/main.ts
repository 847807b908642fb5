/** `npm run up`, once packages are installed and built. */
import { SERVICE_SCRIPTS } from './cluster.js';
import { runUp } from './up.js';

// Who read our output may be gone before we are: that must not end the run in disorder.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const exitCode = await runUp({
  env: process.env,
  scripts: SERVICE_SCRIPTS,
  say: (line) => void process.stderr.write(`${line}\n`),
  announce: (text) => void process.stdout.write(text),
});
process.exit(exitCode);
