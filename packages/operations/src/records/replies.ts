import type { ChainableCommander } from 'ioredis';

/** Run a pipeline or a transaction. Rejects with the first error among its replies. */
export async function repliesOf<T extends readonly unknown[]>(commands: ChainableCommander): Promise<T> {
  const replies: readonly unknown[] = ((await commands.exec()) ?? []).map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
  return replies as T;
}
