/** What scripts for update tools tell people: quotes arrive, because secrets are known by them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { readLines } from '../src/station/protocol.js';
import { plainText } from '../src/station-text.js';

const TOOL = fileURLToPath(new URL('../../station/khumbu-tool.sh', import.meta.url));
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].filter(existsSync);
const SHELLS = [['/bin/sh'], ...BUSYBOX.map((path) => [path, 'sh'])];

void t.test('a message is what was said, in one line', (t) => {
  const cases = [
    ['{"idTag": "04A1B2C3D4E5F6", "pin": "4711"}'],
    ['C:\\new\\table "quoted\\"'],
    ['a & b / c'],
    ['grüße'],
    ['two\nlines\t', 'twolines'],
    ['-n'],
    ['\\'],
  ] as const;
  for (const [program = '', ...more] of SHELLS)
    for (const [said, told = said] of cases) {
      const argv = [...more, '-c', '. "$0"; message "$SAID"', TOOL, 'verb', '/nowhere', '0', '0', '0'];
      const out = execFileSync(program, argv, { env: { PATH: process.env.PATH, SAID: said } });
      t.equal(readLines(out).message, told, `${program}: ${said}`);
      t.notMatch(plainText.shown(readLines(out).message ?? ''), /04A1|4711/);
    }
  t.end();
});
