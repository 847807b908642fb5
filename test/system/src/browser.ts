/** A real browser: Debian's Chromium, by what it offers to tools. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { findCommand, PROGRAMS } from '@khumbu/embedded-run/programs';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';

/** On a busy machine everything takes several times as long. */
const PATIENCE_MS = 90_000;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const findBrowser = (): string | undefined => findCommand(PROGRAMS.chromium.commands);

/** Opens windows that share nothing with each other. What a page logs as an error, or could not load, is in `faults`. */
export async function startBrowser(t: Test, executablePath: string) {
  // As root there is no sandbox to be had; it loads what this test serves, and nothing else.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'], timeout: PATIENCE_MS });
  t.teardown(() => browser.close());
  const faults: string[] = [];
  return {
    faults: faults as readonly string[],
    async open(options: BrowserContextOptions = {}): Promise<Page> {
      const context = await browser.newContext({ ...options, bypassCSP: false });
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('requestfailed', (request) => faults.push(`${request.url()}: ${request.failure()?.errorText}`));
      return page;
    },
  };
}

interface Violation {
  readonly id: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** What axe finds wrong for people who use a keyboard, a screen reader or large letters: WCAG 2.2 A and AA, and good practice. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  // Not by an element, which the policy of the page would not let run.
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: () => Promise<{ violations: Violation[] }> } };
    return (await axe.run()).violations;
  });
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes[0]?.html}`);
}
