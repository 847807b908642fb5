/** A thread as the one that judges, whose work depends on the text: `stuck` never ends, `dies` ends the thread. */
import { parentPort } from 'node:worker_threads';
import type { FromJudge, ToJudge } from '@khumbu/firmware-trust/judge-thread';

const tell = (message: FromJudge): void => parentPort?.postMessage(message);
parentPort?.on('message', (message: ToJudge) => {
  if (message.kind === 'material') return tell({ kind: 'ready' });
  if (message.text.startsWith('stuck')) for (;;);
  if (message.text.startsWith('dies')) throw new Error('as asked');
  if (message.text.startsWith('slow')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  tell({ kind: 'verdict', verdict: { verdict: 'valid', remarks: [message.text] } });
});
