#!/usr/bin/env node
/** `khumbu`: the oldest Node can read this file; it prepares what is not compiled yet, and runs the rest. */
import { existsSync } from 'node:fs';

const compiled = new URL('../dist/bundle/main.js', import.meta.url);
const { main, prepare, checkNode } = await import('../../../scripts/prepare.mjs');
await main(async () => {
  checkNode();
  if (!existsSync(compiled)) await prepare();
  await import(compiled.href);
});
