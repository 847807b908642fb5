/** A real mosquitto on a free loopback port. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answersOn } from '@khumbu/shared/runtime/free-port';
import { startServer } from './server.js';

export interface MosquittoOptions {
  /** For its config file and its database. */
  readonly dir: string;
  readonly port?: number;
  /** Keep sessions and queued messages over a restart; saved at a stop and every second. */
  readonly persistence?: boolean;
  /** More lines of its config file; `allow_anonymous false` replaces the default. */
  readonly config?: readonly string[];
}

export async function startMosquitto(options: MosquittoOptions) {
  await mkdir(options.dir, { recursive: true });
  const extra = options.config ?? [];
  const configFile = (port: number): string => join(options.dir, `mosquitto-${port}.conf`);
  const configText = (port: number): string =>
    [
      `listener ${port} 127.0.0.1`,
      ...(extra.some((line) => line.startsWith('allow_anonymous')) ? [] : ['allow_anonymous true']),
      'set_tcp_nodelay true',
      'max_queued_messages 0',
      // Otherwise it becomes user mosquitto, which cannot enter the folders of root.
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      ...(options.persistence
        ? ['persistence true', `persistence_location ${options.dir}/`, 'autosave_interval 1']
        : []),
      'log_dest stderr',
      ...extra,
      '',
    ].join('\n');
  const server = await startServer(
    {
      command: 'mosquitto',
      args: (port) => ['-c', configFile(port)],
      answers: (port) => answersOn(port),
      prepare: (port) => writeFile(configFile(port), configText(port)),
    },
    options.port,
  );
  return Object.assign(server, { url: `mqtt://127.0.0.1:${server.port}` });
}
