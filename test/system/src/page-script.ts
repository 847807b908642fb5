/** Steps on the page as a document writes them for people, done in a browser. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { ROOT } from './document-commands.js';

const VERBS = ['Open', 'Go to', 'Press', 'Choose', 'Give', 'Type', 'Download', 'See'] as const;
type Verb = (typeof VERBS)[number];

/** `bold`: what stands on the page. `code`: what is typed, or a file. */
interface Step {
  readonly verb: Verb;
  readonly bold: readonly string[];
  readonly code: readonly string[];
  /** The sentence. */
  readonly text: string;
}

export interface ScriptPlace {
  readonly page: Page;
  /** The address that signs in. */
  readonly link: string;
  /** Where a file of the document lies in this run. */
  readonly fileOf: (path: string) => string;
}

const inside = (text: string, pattern: RegExp): string[] =>
  Array.from(text.matchAll(pattern), ([, found = '']) => found);

function stepOf(text: string): Step | undefined {
  const verb = VERBS.find((each) => text.startsWith(`${each} `));
  const bold = inside(text, /\*\*([^*]+)\*\*/g);
  if (verb) return { verb, bold, code: inside(text, /`([^`]+)`/g), text };
  if (bold.length > 0) throw new Error(`nobody could do this: ${text}`);
  return undefined;
}

/** The numbered steps of a document. A sentence that begins with none of the verbs is for readers alone, and names nothing. */
export const stepsOf = (file: string): readonly Step[] =>
  Array.from(readFileSync(join(ROOT, file), 'utf8').matchAll(/^\d+\. (.+)$/gm), ([, item = '']) => item)
    .flatMap((item) => item.split(/(?<=\.) (?=[A-Z])/))
    .flatMap((sentence) => stepOf(sentence) ?? []);

/** The topmost of what can be used: a dialog lies over the page. */
const placeOf = (page: Page): Locator => page.locator('dialog[open], body:not(:has(dialog[open]))');

async function select(field: Locator, label: string): Promise<void> {
  const option = field.locator('option').filter({ hasText: label }).first();
  await option.waitFor({ state: 'attached' });
  await field.selectOption({ label: (await option.textContent()) ?? '' });
}

const DONE: Readonly<Record<Verb, (step: Step, place: ScriptPlace) => Promise<unknown>>> = {
  Open: (_step, { page, link }) => page.goto(link),
  'Go to': ({ bold: [name = ''] }, { page }) => page.getByRole('link', { name, exact: true }).first().click(),
  Press: ({ bold: [name = ''] }, { page }) => placeOf(page).getByRole('button', { name, exact: true }).first().click(),
  Choose: ({ bold: [option = '', name = ''] }, { page }) => select(page.getByLabel(name, { exact: true }), option),
  Give: ({ bold: [name = ''], code: [path = ''] }, { page, fileOf }) =>
    page.getByLabel(name, { exact: true }).setInputFiles(fileOf(path)),
  Type: ({ bold: [name = ''], code: [text = ''] }, { page }) => page.getByLabel(name, { exact: true }).fill(text),
  async Download({ bold: [name = ''] }, { page }) {
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name, exact: true }).first().click();
    await (await download).path();
  },
  async See({ bold }, { page }) {
    for (const text of bold) await page.getByText(text).filter({ visible: true }).first().waitFor();
  },
};

/** Rejects at the first step that cannot be done, with its sentence. */
export async function perform(step: Step, place: ScriptPlace): Promise<void> {
  try {
    await DONE[step.verb](step, place);
  } catch (error) {
    throw new Error(`could not be done: ${step.text}\n${await place.page.locator('body').textContent()}`, {
      cause: error,
    });
  }
}
