/**
 * How the files do that a service follows, for people: one log line for each change, a gauge, and what health and REST
 * show. A file that cannot be used does not make a service unready, because its last good content goes on working.
 */
import { Gauge, type Registry } from 'prom-client';
import { type CodedError, describeError } from './errors.js';
import type { FileContent } from './followed-file.js';
import type { Logger } from './logger.js';

export interface FileState {
  /** The variable that names it. */
  readonly setting: string;
  readonly usable: boolean;
  /** Why what is there now is not used. Holds no secrets. */
  readonly reason?: string;
  /** When the content in use was taken; milliseconds since 1970. Absent: never. */
  readonly loadedAt?: number;
  /** Since when it has not been usable; milliseconds since 1970. */
  readonly unusableSince?: number;
}

export function createFileHealth(log: Logger, now: () => number = Date.now) {
  const states = new Map<string, FileState>();
  const listeners: (() => void)[] = [];
  const contents = new Map<string, FileContent>();
  let onContent: ((setting: string, content: FileContent) => void) | undefined;
  const set = (state: FileState): void => {
    states.set(state.setting, state);
    for (const listener of listeners) listener();
  };
  return {
    unusable(setting: string, error: CodedError): void {
      const { loadedAt, unusableSince = now() } = states.get(setting) ?? {};
      log.error(
        { err: error, setting },
        loadedAt === undefined
          ? 'a source of settings is not usable yet'
          : 'a file is not usable as it is now: what was good last stays in use',
      );
      set({
        setting,
        usable: false,
        reason: describeError(error),
        unusableSince,
        ...(loadedAt === undefined ? {} : { loadedAt }),
      });
    },
    /** `content`: absent for what is no file. */
    usable(setting: string, content?: FileContent): void {
      const before = states.get(setting);
      if (before) log.info({ setting }, before.usable ? 'a file was read again' : 'a file is usable again');
      set({ setting, usable: true, loadedAt: now() });
      if (!content) return;
      contents.set(setting, content);
      onContent?.(setting, content);
    },
    states: (): readonly FileState[] => [...states.values()],
    /** `ok`, or what is wrong with which. */
    summary: (): string => {
      const broken = [...states.values()].filter(({ usable }) => !usable);
      return broken.length === 0 ? 'ok' : broken.map(({ reason }) => `not usable: ${reason}`).join('; ');
    },
    /** Called with what is in use now, and whenever something is taken into use; for one listener. */
    followContents(listener: (setting: string, content: FileContent) => void): void {
      onContent = listener;
      for (const [setting, content] of contents) listener(setting, content);
    },
    /** Called after every change of a state. */
    onChange: (listener: () => void): void => void listeners.push(listener),
  };
}

export type FileHealth = ReturnType<typeof createFileHealth>;

/** `khumbu_file_unusable` and `khumbu_file_loaded_timestamp_seconds`, a row for each setting that names a file. */
export function countFiles(files: Pick<FileHealth, 'states'>, registry: Registry): void {
  const gauge = (name: string, help: string, read: (state: FileState) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ['file'],
      registers: [registry],
      collect() {
        this.reset();
        for (const state of files.states()) {
          const value = read(state);
          if (value !== undefined) this.set({ file: state.setting }, value);
        }
      },
    });
  gauge(
    'khumbu_file_unusable',
    '1 while what this setting names cannot be used, and what was good last stays in use.',
    ({ usable }) => (usable ? 0 : 1),
  );
  gauge(
    'khumbu_file_loaded_timestamp_seconds',
    'When the content in use was taken, in seconds since 1970.',
    ({ loadedAt }) => loadedAt && loadedAt / 1000,
  );
}
