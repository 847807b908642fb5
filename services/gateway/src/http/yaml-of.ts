/** JSON as YAML, in a thread: it takes a third of a second for the document of REST, in which every answer would wait. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Rejects with what the thread failed of. Safe to repeat. */
export async function yamlOf(json: string): Promise<string> {
  const thread = new Worker(new URL('./yaml-thread.js', import.meta.url), { workerData: json, execArgv: [], env: {} });
  try {
    const [text] = (await once(thread, 'message')) as [string];
    return text;
  } finally {
    await thread.terminate();
  }
}
