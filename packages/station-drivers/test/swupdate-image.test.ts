/** What the script for SWUpdate reads of an image, and how it compares versions; in this shell and in that of busybox. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const PART = fileURLToPath(new URL('../../station/khumbu-swupdate-image.sh', import.meta.url));
const shells = [['sh'], ['busybox', 'sh']].filter(([name = '']) =>
  ['/bin', '/usr/bin'].some((dir) => existsSync(`${dir}/${name}`)),
);

/** Calls of functions of the script, each with its output in brackets. */
const call = (shell: readonly string[], calls: readonly (readonly string[])[]): readonly string[] => {
  const [file = '', ...rest] = shell;
  const script = `. "$1"; shift; while [ "$#" -gt 0 ]; do description=$2; printf '[%s]\\n' "$("$1" "$2" "$3")"; shift 3; done`;
  const words = calls.flatMap(([name = '', one = '', two = '']) => [name, one, two]);
  const output = execFileSync(file, [...rest, '-u', '-c', script, 'sh', PART, ...words]).toString('utf8');
  return output.trim().split('\n');
};

const COMPARED: readonly [string, string, string][] = [
  ['1.9', '1.10', '-1'],
  // SWUpdate takes these for text, and 1.10 for the older one.
  ['v1.9', 'v1.10', '-1'],
  ['1.10', 'v1.9', '1'],
  ['1.0', '1.0.0', '0'],
  // SWUpdate drops the fifth number, and numbers above 65535.
  ['1.0.0.0.1', '1.0.0.0.2', '-1'],
  ['70000.1', '65535.1', '1'],
  ['2026.1-rc1', '2026.1', '-1'],
  ['1.0-rc.2', '1.0-rc.10', '-1'],
  ['1.0-alpha', '1.0-alpha.1', '-1'],
  ['1.0-1', '1.0-a', '-1'],
  ['1.0-b', '1.0-a', '1'],
  ['1.0+one', '1.0+two', '0'],
  ['008', '8', '0'],
  ['red', '1.0', ''],
  ['1.0', '', ''],
  ['', '1.0', ''],
  ['1.0 $(id)', '1.0', ''],
];

const DESCRIBED: readonly [string, string][] = [
  ['software =\n{\n  version = "5.0";\n  stable = { images: ( { name = "a"; version = "4.0"; } ); };\n};', '5.0'],
  ['{ "software": { "description": "x", "version" : "1.2", "hardware-compatibility": ["1.0"] } }', '1.2'],
  ['software = { hardware-compatibility: [ "1.0" ]; };', ''],
];

for (const shell of shells)
  await t.test(shell.join(' '), (t) => {
    const compared = call(
      shell,
      COMPARED.map(([one, two]) => ['compare', one, two]),
    );
    for (const [index, [one, two, expected]] of COMPARED.entries())
      t.equal(compared[index], `[${expected}]`, `${one} and ${two}`);
    const versions = call(
      shell,
      DESCRIBED.map(([text]) => ['image_version', text]),
    );
    t.same(
      versions,
      DESCRIBED.map(([, version]) => `[${version}]`),
    );
    t.end();
  });
