/** A worker with a spool of its own that downloads, to be killed or frozen. Prints its progress in bytes, then its result. */
import { piecesWorker } from './pieces-worker.js';

const [, , location = '', spoolDir = '', endpoint = ''] = process.argv;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const { download, objects } = piecesWorker(spoolDir, endpoint);
try {
  say((await download(location, 'image', undefined, new AbortController().signal, (bytes) => say(String(bytes)))).kind);
} catch (error) {
  say(String(error));
} finally {
  objects.close();
}
