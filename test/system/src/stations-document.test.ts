/** The commands of docs/stations.md, as they stand there: from a Debian with nothing on it to its first update. */
import { join } from 'node:path';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { startBareCharger, whyNoBareCharger } from '@khumbu/test-support/bare-charger';
import { withoutRepeats } from '@khumbu/test-support/statuses';
import t from 'tap';
import { allBlocks, openTerminal, othersOf, portOf, saidBy, startRun, type Terminal } from './document-commands.js';

const DOCUMENT = 'docs/stations.md';
t.setTimeout(900_000);

/** What differs each time, as the document writes it. */
const withoutWhatDiffers = (text: string): string =>
  text.replace(/"boot_id": "[^"]+"/g, '"boot_id": "<boot>"').replace(/\b[0-9a-f]{64}\b/g, '<sha256>');

/** Open what the document asks for, and close it before its folder is removed. */
async function withTerminals(
  dir: string,
  body: (terminals: Readonly<Record<'charger' | 'depot', Terminal>>) => Promise<void>,
): Promise<void> {
  const opened: (() => Promise<unknown>)[] = [];
  try {
    const charger = await startBareCharger({ dir: join(dir, 'charger') });
    opened.push(() => charger.stop());
    const DATA_DIR = join(dir, 'var');
    const { run, line } = await startRun(DATA_DIR);
    opened.push(() => run.end('SIGTERM'));
    const atCharger = await openTerminal([...charger.shell, 'sh']);
    opened.push(() => atCharger.close());
    const atDepot = await openTerminal(['bash'], {
      CHARGER_HOST: '127.0.0.1',
      CHARGER_PORT: String(charger.port),
      HTTP_PORT: portOf(line.httpUrl),
      MQTT_PORT: portOf(line.mqttUrl),
      FILE_PORT: String(await freePort()),
      DATA_DIR,
      TMPDIR: dir,
    });
    opened.push(() => atDepot.close());
    await body({ charger: atCharger, depot: atDepot });
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

await t.test('a bare charger is updated', { skip: whyNoBareCharger() ?? false }, async (t) => {
  const all = allBlocks(DOCUMENT);
  const commands = all.filter(({ terminal }) => terminal !== '');
  const [shown = ''] = all.flatMap(({ language, text }) => (language === 'text' ? [text] : []));
  await withTerminals(t.testdir({}), async (terminals) => {
    let seen = '';
    for (const { terminal, text } of commands) {
      if (terminal !== 'charger' && terminal !== 'depot') throw new Error(`there is no terminal ${terminal}`);
      const printed = await terminals[terminal].paste(text);
      // What a person carries from one terminal to the other.
      const [fingerprint] = /SHA256:\S+/.exec(printed) ?? [];
      const [key] = /^ssh-ed25519 \S+ khumbu$/m.exec(printed) ?? [];
      if (terminal === 'charger' && fingerprint) await terminals.depot.paste(`FINGERPRINT='${fingerprint}'`);
      if (terminal === 'depot' && key) await terminals.charger.paste(`KEY='${key}'`);
      seen += printed;
    }
    const after = withoutWhatDiffers(seen.slice(seen.indexOf('everest_api/')));
    t.same(withoutRepeats(saidBy(after)), saidBy(shown), 'statuses in their order');
    t.same(othersOf(after), othersOf(shown), 'what REST and the charger say');
  });
});
