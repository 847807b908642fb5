/**
 * Loaded before every test file: what a test started ends before its folder is removed. tap removes the folder of a test
 * first if `t.testdir` is called before the first `t.teardown`; a server that still writes there then makes the removal fail
 * (`ENOTEMPTY`), and tap runs no teardown any more: everything stays, and the file does not end before its time is over.
 */
import { isMainThread } from 'node:worker_threads';

// Threads and children of a test inherit the arguments of node.
if (isMainThread && process.argv[1]?.endsWith('.test.js')) {
  const { default: t } = await import('tap');
  const nothing = () => undefined;
  t.teardown(nothing);
  t.beforeEach((test) => {
    test.teardown(nothing);
  });
}
