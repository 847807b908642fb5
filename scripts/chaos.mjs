/** `npm run chaos`: attack the promises of docs/guarantees.md. Prepared here, run by test/chaos. */
import { main, prepare, say } from './prepare.mjs';

await main(async () => {
  await prepare();
  const { findPrograms } = await import('../packages/embedded-run/dist/src/programs.js');
  await findPrograms(['redis', 'mosquitto', 'openssl', 'faketime'], { say });
  await import('../test/chaos/dist/src/main.js');
});
