/** `npm run chaos`: attack the promises of docs/guarantees.md. Prepared here, run by test/chaos. */
import { main, prepare, say } from './prepare.mjs';

await main(async () => {
  await prepare();
  const { findPrograms } = await import('../packages/embedded-run/dist/src/programs.js');
  await findPrograms(['redis', 'mosquitto', 'openssl', 'faketime'], { say });
  // Without them what is about real chargers is left out, by name.
  for (const programs of [['sshd'], ['rauc', 'mksquashfs', 'dbus-daemon'], ['swupdate', 'fw_printenv', 'cpio']])
    await findPrograms(programs, { say }).catch((error) => say(error.message));
  await import('../test/chaos/dist/src/main.js');
});
