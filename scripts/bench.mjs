/** `npm run bench`: measure against what else one would use. Prepared here, run by test/bench. */
import { main, prepare, say } from './prepare.mjs';

await main(async () => {
  await prepare();
  const { findPrograms } = await import('../packages/embedded-run/dist/src/programs.js');
  await findPrograms(['redis', 'mosquitto', 'openssl', 'curl'], { say });
  await findPrograms(['sshd'], { say }).catch((error) => say(error.message));
  await import('../test/bench/dist/src/main.js');
});
