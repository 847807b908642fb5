/**
 * `npm test`: prepare, then every test, or those of the files and folders that are named after `--`. With options, `-R tap` for one,
 * all of it goes to tap's own command. Ends with `N passed, N failed`, which counts assertions; a test file that breaks off counts as failed.
 */
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildTap, main, packageFolders, prepare, Refusal, ROOT, run, say, tapCli } from './prepare.mjs';

const testsBelow = (folder) =>
  readdirSync(folder, { recursive: true })
    .filter((file) => /(^|\/)dist\/.*\.test\.js$/.test(file) && !file.includes('node_modules'))
    .map((file) => join(folder, file));

/** Those of whole depots first: they take longest, and nothing waits for them at the end. */
const allTests = () => packageFolders().flatMap(testsBelow).sort().toReversed();

/** Compiled tests of a folder or of a source file; anything else is taken as it is: a compiled file, or an option for tap. */
function testsFor(argument) {
  const path = resolve(ROOT, argument);
  if (argument.startsWith('-') || !existsSync(path)) return [argument];
  if (statSync(path).isDirectory()) {
    const tests = testsBelow(path);
    if (tests.length === 0) throw new Refusal(`no tests in ${argument}`);
    return tests;
  }
  const compiled = path.replace(/^(.*)\/(test|src)\/(.*)\.ts$/, '$1/dist/$2/$3.js');
  if (!existsSync(compiled)) throw new Refusal(`${argument} is no test: ${compiled} does not exist`);
  return [compiled];
}

/**
 * Count the assertions of a TAP stream. The line that closes a subtest repeats what its own lines said, so it counts
 * only when it fails and none of them did: a crash, a timeout, a broken plan.
 */
async function countAssertions(file) {
  const { Parser } = await import('tap-parser');
  const counts = { passed: 0, failed: 0 };
  const follow = (parser) => {
    let failedBefore;
    parser.on('child', (child) => {
      failedBefore = counts.failed;
      follow(child);
    });
    parser.on('assert', (result) => {
      const closes = failedBefore !== undefined;
      const failedInside = closes && counts.failed > failedBefore;
      failedBefore = undefined;
      if (result.skip || result.todo) return;
      if (result.ok) counts.passed += closes ? 0 : 1;
      else if (!failedInside) counts.failed += 1;
    });
    parser.on('bailout', () => {
      counts.failed += 1;
    });
  };
  const parser = new Parser();
  follow(parser);
  const summary = new Promise((done) => {
    parser.on('complete', done);
  });
  createReadStream(file).pipe(parser);
  const { failures } = await summary;
  // tap's command leaves out the plan of the whole: whether all of it has run its exit code says.
  const isBroken = failures.some(({ tapError }) => tapError !== undefined && tapError !== 'no plan');
  if (isBroken && counts.failed === 0) counts.failed = 1;
  return counts;
}

/** A line for each test file, and what failed with its reasons. */
function shortTap() {
  let reasonsOf;
  return (line) => {
    const depth = line.length - line.trimStart().length;
    const failed = line.startsWith('not ok ', depth);
    const inReasons = reasonsOf !== undefined && (depth > reasonsOf || line === '');
    if (!inReasons) reasonsOf = undefined;
    if (failed) reasonsOf = depth;
    if (failed || inReasons || (depth === 0 && /^(ok|Bail out!)/.test(line))) process.stdout.write(`${line}\n`);
  };
}

/** tap's command fails where lines are not covered, or nothing is counted. */
const NO_COVERAGE_NEEDED = ['--allow-empty-coverage', '--allow-incomplete-coverage'];

/** The TAP goes to the file as well. */
async function runTests(tapFile, args) {
  if (args.some((arg) => arg.startsWith('-')))
    return run(process.execPath, [tapCli(), 'run', ...NO_COVERAGE_NEEDED, `--output-file=${tapFile}`, ...args], {
      stdio: ['ignore', 1, 2],
    });
  const fd = openSync(tapFile, 'w');
  const print = shortTap();
  const onLine = (line) => {
    writeSync(fd, `${line}\n`);
    print(line);
  };
  try {
    const plain = [join(ROOT, 'scripts', 'run-tests.mjs'), ...args];
    return await run(process.execPath, plain, { stdio: ['ignore', 'pipe', 2], onLine });
  } finally {
    closeSync(fd);
  }
}

await main(async () => {
  const wanted = process.argv.slice(2);
  await prepare();
  await buildTap();
  const { findPrograms } = await import('../packages/embedded-run/dist/src/programs.js');
  await findPrograms(['redis', 'mosquitto', 'openssl'], { say });
  // Without it clocks stay as they are, and what is about their jumps is left out.
  await findPrograms(['faketime'], { say }).catch((error) => say(error.message));
  // Without them no station is reached by SSH as a user without rights, and what is about that is left out.
  await findPrograms(['sshd', 'sudo'], { say }).catch((error) => say(error.message));
  // Without it nobody looks for slips in scripts for stations.
  await findPrograms(['shellcheck'], { say }).catch((error) => say(error.message));
  // Without them no station is updated by RAUC, and what is about that is left out.
  await findPrograms(['rauc', 'mksquashfs', 'dbus-daemon'], { say }).catch((error) => say(error.message));
  // What stations have: a time service, busybox, a client of their broker.
  await findPrograms(['busybox', 'chronyd', 'mosquitto_pub'], { say }).catch((error) => say(error.message));
  // Without them no station is updated by SWUpdate, and what is about that is left out.
  await findPrograms(['swupdate', 'fw_printenv', 'cpio'], { say }).catch((error) => say(error.message));
  // What people open archives with.
  await findPrograms(['bsdtar', '7z', 'zstd'], { say }).catch((error) => say(error.message));
  // Without it nobody sees what a tab proposes there.
  await findPrograms(['zsh'], { say }).catch((error) => say(error.message));
  // Without it no transfer goes through a real forward proxy, and what is about that is left out.
  await findPrograms(['tinyproxy'], { say }).catch((error) => say(error.message));

  // Without it nobody looks at the page, and what is about that is left out.
  await findPrograms(['chromium'], { say }).catch((error) => say(error.message));
  // Without them no file comes by FTP. They are never installed: they exclude each other, and would end a server that is there.
  const { debianFiles, FTP_SERVERS } = await import('../packages/test-support/dist/src/debian-files.js');
  for (const packages of Object.values(FTP_SERVERS)) {
    const found = await debianFiles(packages);
    if (typeof found === 'string') say(found);
  }

  const folder = mkdtempSync(join(tmpdir(), 'khumbu-test-'));
  const tapFile = join(folder, 'all.tap');
  try {
    const code = await runTests(tapFile, wanted.length === 0 ? allTests() : wanted.flatMap(testsFor));
    const counts = existsSync(tapFile) ? await countAssertions(tapFile) : { passed: 0, failed: 0 };
    if (counts.failed === 0 && (code !== 0 || counts.passed === 0)) counts.failed = 1;
    process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed\n`);
    if (counts.failed > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
