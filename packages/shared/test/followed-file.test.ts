import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { countFiles, createFileHealth } from '@khumbu/shared/runtime/file-health';
import { followFile, isCutOff, textOf } from '@khumbu/shared/runtime/followed-file';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { readJson, readYaml } from '@khumbu/shared/runtime/structured-text';
import { Registry } from 'prom-client';
import t, { type Test as T } from 'tap';
import { Type } from 'typebox';

const PATIENCE_MS = 30_000;
const Schema = Type.Object(
  { name: Type.String(), list: Type.Optional(Type.Array(Type.Integer())) },
  { additionalProperties: false },
);
const A = '{\n  "name": "a",\n  "list": [1, 2, 3]\n}\n';
const B = '{\n  "name": "b"\n}\n';
const SECRET = 'tower-of-babel';

/** A followed JSON file, what was reported of it, and a wait for a report. */
function follow(t: T, path: string) {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger('test', 'info', { write: (line) => void lines.push(JSON.parse(line)) });
  const health = createFileHealth(log);
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const go of waiting) go();
  };
  health.onChange(wake);
  const file = followFile({
    setting: 'THE_FILE',
    path,
    read: (bytes) => readJson(textOf(bytes), Schema),
    code: 'CONFIG_INVALID',
    reports: health,
    onChange: wake,
  });
  t.teardown(file.close);
  const until = (done: () => boolean, what: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`waited in vain: ${what}; ${health.summary()}`)), PATIENCE_MS);
      const look = (): void => {
        if (!done()) return;
        clearTimeout(late);
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return {
    lines,
    health,
    name: () => file.current().name,
    /** What is there is reported as unusable, and what was good last stays. */
    keeps: async (reason: RegExp, name = 'a'): Promise<void> => {
      await until(() => reason.test(health.summary()), String(reason));
      t.match(health.states(), [{ setting: 'THE_FILE', usable: false }]);
      t.equal(file.current().name, name, `what was good last stays: ${health.summary()}`);
    },
    takes: async (name: string): Promise<void> => {
      await until(() => file.current().name === name && health.summary() === 'ok', `content ${name}`);
    },
  };
}

function replace(path: string, text: string | Buffer): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

void t.test('whatever is not whole is reported, and the last good content stays', async (t) => {
  const kinds: [string, (path: string) => void, RegExp][] = [
    ['truncated to nothing', (path) => truncateSync(path, 0), /THE_FILE: it is empty/],
    ['cut within a line', (path) => truncateSync(path, 20), /THE_FILE: it is cut off within a line/],
    [
      'cut after a line',
      (path) => truncateSync(path, A.indexOf('"list"') - 2),
      /THE_FILE: line 2, column 15: not JSON/,
    ],
    ['nothing but line ends', (path) => writeFileSync(path, '\n \r\n'), /it is empty/],
    ['zeros in place of its text', (path) => writeFileSync(path, Buffer.alloc(A.length)), /it is empty/],
    [
      'half of another content',
      (path) => writeFileSync(path, B.slice(0, -4)),
      /line 2, column 11: not JSON: unexpected end of string/,
    ],
    ['something after its end', (path) => appendFileSync(path, '}'), /line 5, column 1: not JSON/],
    ['bytes that are no text', (path) => writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d])), /it is not UTF-8/],
    ['a broken one by rename', (path) => replace(path, '[}'), /line 1, column 2: not JSON/],
    ['an empty one by rename', (path) => replace(path, ''), /it is empty/],
    ['one that does not fit', (path) => replace(path, '{\n "name": 5}'), /line 2, column 10: \/name must be string/],
    [
      'a member nobody knows',
      (path) => replace(path, '{"name":"b",\n "nmae":""}'),
      /line 2, column 2: .*nmae is not known/,
    ],
    [
      'a member twice',
      (path) => replace(path, '{"name":"b",\n "name":"c"}'),
      /line 2, column 2: this member is there twice/,
    ],
    ['gone', (path) => unlinkSync(path), /THE_FILE cannot be read \(ENOENT\)/],
    ['gone with its folder', (path) => rmSync(join(path, '..'), { recursive: true }), /cannot be read \(ENOENT\)/],
    [
      'a folder in its place',
      (path) => {
        unlinkSync(path);
        mkdirSync(path);
      },
      /it is no regular file|EISDIR/,
    ],
    [
      'a pipe in its place, which nobody writes',
      (path) => {
        unlinkSync(path);
        execFileSync('mkfifo', [path]);
      },
      /it is no regular file/,
    ],
    [
      'a link that leads nowhere',
      (path) => {
        unlinkSync(path);
        symlinkSync('nowhere', path);
      },
      /cannot be read \(ENOENT\)/,
    ],
    [
      'a link that leads to itself',
      (path) => {
        unlinkSync(path);
        symlinkSync('file.json', path);
      },
      /cannot be read \(ELOOP\)/,
    ],
    [
      'a folder of its path that is a file now',
      (path) => {
        rmSync(join(path, '..'), { recursive: true });
        writeFileSync(join(path, '..'), '');
      },
      /cannot be read \(ENOTDIR\)/,
    ],
  ];
  const dir = t.testdir({});
  // All at once: each waits for the next look.
  const all = kinds.map(async ([name, harm, reason], index) => {
    const folder = join(dir, String(index));
    mkdirSync(folder);
    const path = join(folder, 'file.json');
    writeFileSync(path, A);
    const followed = follow(t, path);
    t.equal(followed.name(), 'a');
    harm(path);
    await followed.keeps(reason);
    const errors = followed.lines.filter(({ level }) => level === 50);
    t.ok(errors.length >= 1, `${name}: there is a line in the log`);
    t.notOk(
      new Set(errors.map(({ err }) => JSON.stringify(err))).size < errors.length,
      `${name}: none is repeated while nothing changes`,
    );
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    writeFileSync(path, B);
    await followed.takes('b');
    t.pass(`${name}: what is whole again is taken`);
  });
  await Promise.all(all);
});

void t.test('a permission that is lost', async (t) => {
  // Somebody else must be able to reach it, which the project's folder may not allow.
  const dir = mkdtempSync(join(tmpdir(), 'khumbu-followed-'));
  const folder = join(dir, 'sub');
  const path = join(folder, 'file.json');
  mkdirSync(folder);
  writeFileSync(path, A);
  chmodSync(dir, 0o755);
  // Root may read everything: for this test it is somebody else.
  const asRoot = process.geteuid?.() === 0;
  const become = (uid: number): void => {
    if (asRoot) process.seteuid?.(uid);
  };
  const asOwner = (act: () => void): void => {
    become(0);
    act();
    become(65_534);
  };
  become(65_534);
  try {
    const followed = follow(t, path);
    asOwner(() => chmodSync(path, 0));
    await followed.keeps(/THE_FILE cannot be read \(EACCES\)/);
    asOwner(() => chmodSync(path, 0o644));
    await followed.takes('a');
    asOwner(() => chmodSync(folder, 0));
    await followed.keeps(/THE_FILE cannot be read \(EACCES\)/);
    asOwner(() => {
      chmodSync(folder, 0o755);
      replace(path, B);
    });
    await followed.takes('b');
  } finally {
    become(0);
    rmSync(dir, { recursive: true });
  }
});

void t.test('a good content is taken however it comes', async (t) => {
  const ways: [string, (path: string, text: string) => void][] = [
    ['written in place', (path, text) => writeFileSync(path, text)],
    ['renamed over', replace],
    [
      'removed and made anew',
      (path, text) => {
        unlinkSync(path);
        writeFileSync(path, text);
      },
    ],
    [
      'with a byte order mark and Windows line ends',
      (path, text) => replace(path, `\ufeff${text.replaceAll('\n', '\r\n')}`),
    ],
    ['without its last line end', (path, text) => replace(path, text.trimEnd())],
    [
      'by a folder that is replaced as a whole',
      (path, text) => {
        const folder = join(path, '..');
        cpSync(folder, `${folder}-next`, { recursive: true });
        writeFileSync(join(`${folder}-next`, 'file.json'), text);
        renameSync(folder, `${folder}-old`);
        renameSync(`${folder}-next`, folder);
      },
    ],
  ];
  const dir = t.testdir({});
  await Promise.all(
    ways.map(async ([name, write], index) => {
      mkdirSync(join(dir, `${index}`));
      const path = join(dir, `${index}`, 'file.json');
      writeFileSync(path, A);
      const followed = follow(t, path);
      for (const [text, content] of [
        [B, 'b'],
        [B.replace('"b"', '"c"'), 'c'],
      ] as const) {
        write(path, text);
        await followed.takes(content);
        t.pass(`${name}: ${content}`);
        rmSync(join(dir, `${index}-old`), { recursive: true, force: true });
      }
      t.notOk(
        followed.lines.some(({ level }) => level === 50),
        `${name}: nothing was wrong in between`,
      );
    }),
  );
});

void t.test('a link that is swapped, near or far, as in a config map', async (t) => {
  const dir = t.testdir({
    one: { 'file.json': A },
    two: { 'file.json': B },
    three: { 'file.json': '{"name":' },
    mount: {},
  });
  const mount = join(dir, 'mount');
  const swap = (to: string): void => {
    symlinkSync(join(dir, to), join(mount, '..data_tmp'));
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
  };
  swap('one');
  symlinkSync(join('..data', 'file.json'), join(mount, 'file.json'));
  symlinkSync(join(mount, 'file.json'), join(dir, 'far.json'));
  const near = follow(t, join(mount, 'file.json'));
  const far = follow(t, join(dir, 'far.json'));
  swap('two');
  await Promise.all([near.takes('b'), far.takes('b')]);
  swap('three');
  const cut = /THE_FILE: line 1, column 9: not JSON/;
  await Promise.all([near.keeps(cut, 'b'), far.keeps(cut, 'b')]);
  swap('one');
  await Promise.all([near.takes('a'), far.takes('a')]);
});

void t.test('a bad file at the start ends the start, by name and place', async (t) => {
  const dir = t.testdir({
    empty: '',
    cut: A.slice(0, 30),
    secret: `{"name": "${SECRET}", "list": ${SECRET}}`,
    folder: {},
  });
  const attempt = (name: string): string => {
    try {
      follow(t, join(dir, name));
      return 'nothing';
    } catch (error) {
      t.ok(hasCode(error, 'CONFIG_INVALID'));
      return (error as Error).message;
    }
  };
  t.equal(attempt('empty'), 'THE_FILE: it is empty');
  t.match(attempt('cut'), /^THE_FILE: line 3, column \d+: not JSON: it ends too early$/);
  t.equal(attempt('none'), 'THE_FILE cannot be read (ENOENT)');
  t.equal(attempt('folder'), 'THE_FILE: it is no regular file');
  t.match(attempt('secret'), /^THE_FILE: line 1, column 36: not JSON: invalid symbol$/);
  t.notMatch(attempt('secret'), SECRET);
});

void t.test('what is a cut and what is an edit', async (t) => {
  const cut = (next: string, last: string): boolean => isCutOff(Buffer.from(next), Buffer.from(last));
  const LAST = 'stations:\n  a: {}\n  bb: {}\n';
  t.ok(cut(LAST.slice(0, -4), LAST));
  t.ok(cut('stations:\n  a: {}\n  b', LAST));
  t.ok(cut('stations:\n  a: {}\n ', LAST));
  t.notOk(cut('stations:\n  a: {}\n', LAST), 'the last line was taken away');
  t.notOk(cut(LAST.trimEnd(), LAST), 'the last line end was taken away');
  t.notOk(cut('stations:\n  b: {}\n', LAST));
  t.notOk(cut(`${LAST}  c: {}`, LAST));
  t.notOk(cut(LAST, LAST));
  t.notOk(cut('stations: {}', 'stations:\r\n'));
});

void t.test('metrics and health say which file is not usable, and since when', async (t) => {
  const path = join(t.testdir({ 'file.json': A }), 'file.json');
  const { health, keeps, takes } = follow(t, path);
  const registry = new Registry();
  countFiles(health, registry);
  t.equal(health.summary(), 'ok');
  t.match(await registry.metrics(), /^khumbu_file_unusable\{file="THE_FILE"\} 0$/m);
  const [{ loadedAt } = { loadedAt: 0 }] = health.states();
  t.ok(loadedAt !== undefined && Math.abs(Date.now() - loadedAt) < 60_000);
  writeFileSync(path, '{');
  await keeps(/^not usable: THE_FILE: line 1, column 2: /);
  t.match(await registry.metrics(), /^khumbu_file_unusable\{file="THE_FILE"\} 1$/m);
  t.match(await registry.metrics(), `khumbu_file_loaded_timestamp_seconds{file="THE_FILE"} ${Number(loadedAt) / 1000}`);
  const [{ unusableSince } = {}] = health.states();
  t.ok(Number(unusableSince) >= Number(loadedAt));
  writeFileSync(path, B);
  await takes('b');
  t.match(await registry.metrics(), /^khumbu_file_unusable\{file="THE_FILE"\} 0$/m);
  t.match(health.states(), [{ usable: true, reason: undefined, unusableSince: undefined }]);
});

void t.test('the place of what is wrong in YAML', async (t) => {
  const File = Type.Object(
    {
      a: Type.Optional(
        Type.Record(Type.String(), Type.Object({ n: Type.Optional(Type.Integer()) }, { additionalProperties: false })),
      ),
    },
    { additionalProperties: false },
  );
  const messageOf = (text: string): string => {
    try {
      readYaml(text, File);
      return 'none';
    } catch (error) {
      t.ok(hasCode(error, 'TEXT_INVALID'), String(error));
      return (error as Error).message;
    }
  };
  const wrong: [string, RegExp][] = [
    ['a: [', /^line 1, column 5: [^\n]+$/],
    ['a:\n  x: {n: 1', /^line 2, column \d+: [^\n]+$/],
    ['a:\n  x:\n    n: one', /^line 3, column 8: \/a\/x\/n must be integer$/],
    ['a:\n  7:\n    m: 1\n', /^line 3, column 5: \/a\/7 .*: m is not known$/],
    ['a:\n  x/y: {n: "1"}', /^line 2, column 12: /],
    ['a:\n  x: {}\n  x: {}\n', /^line 3, column 3: Map keys must be unique$/],
    ['a:\n\tx: {}\n', /^line 2, column 1: /],
    ['--- {}\n--- {}\n', /^line 2, column \d+: [^\n]+$/],
    ['a: &z {x: *y}', /./],
    ['- 1', /^line 1, column 1: \/ must be object$/],
    [`b: ${SECRET}`, /^line 1, column 1: .*b is not known/],
  ];
  for (const [text, wanted] of wrong) {
    t.match(messageOf(text), wanted, text);
    t.notMatch(messageOf(text), SECRET);
  }
  for (const text of ['', '# nobody yet\n', '{}', '---\n', 'a: {x: {n: 1}}']) t.equal(messageOf(text), 'none', text);
});
