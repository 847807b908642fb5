/**
 * How the files do that a service follows, for people: one log line for each change, a gauge, and what health and REST
 * show. A file that cannot be used does not make a service unready, because its last good content goes on working.
 */
import { Gauge, type Registry } from 'prom-client';
import { describeError } from './errors.js';
import type { FileReports } from './followed-file.js';
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

export interface FileHealth extends FileReports {
  readonly states: () => readonly FileState[];
  /** `ok`, or what is wrong with which. */
  readonly summary: () => string;
  /** Called after every change of a state. */
  readonly onChange: (listener: () => void) => void;
}

export function createFileHealth(log: Logger, now: () => number = Date.now): FileHealth {
  const states = new Map<string, FileState>();
  const listeners: (() => void)[] = [];
  const set = (state: FileState): void => {
    states.set(state.setting, state);
    for (const listener of listeners) listener();
  };
  return {
    unusable(setting, error) {
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
    usable(setting) {
      const before = states.get(setting);
      if (before) log.info({ setting }, before.usable ? 'a file was read again' : 'a file is usable again');
      set({ setting, usable: true, loadedAt: now() });
    },
    states: () => [...states.values()],
    summary() {
      const broken = [...states.values()].filter(({ usable }) => !usable);
      return broken.length === 0 ? 'ok' : broken.map(({ reason }) => `not usable: ${reason}`).join('; ');
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

/** `khumbu_file_unusable` and `khumbu_file_loaded_timestamp_seconds`, a row for each setting that names a file. */
export function countFiles(files: Pick<FileHealth, 'states'>, registry: Registry): void {
  const labelNames = ['file'];
  const registers = [registry];
  new Gauge({
    name: 'khumbu_file_unusable',
    help: '1 while what this setting names cannot be used, and what was good last stays in use.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { setting, usable } of files.states()) this.set({ file: setting }, usable ? 0 : 1);
    },
  });
  new Gauge({
    name: 'khumbu_file_loaded_timestamp_seconds',
    help: 'When the content in use was taken, in seconds since 1970.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const { setting, loadedAt } of files.states())
        if (loadedAt !== undefined) this.set({ file: setting }, loadedAt / 1000);
    },
  });
}
