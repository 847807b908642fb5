/** What a live view sends, as lines: of JSON, or of text. Pure. */
import type { LogViewFormat } from '@khumbu/operations/log-views/messages';

export interface ViewRecord {
  readonly source: string;
  readonly text: string;
}

export interface ViewNote {
  readonly source: string;
  readonly code: string;
  readonly text: string;
}

/**
 * `complete`: nothing more is there. `size_limit`, `time_limit`: as much, and as long, as one view may. `failed`: no source could be read
 * to its end.
 */
export type ViewEnd = 'complete' | 'size_limit' | 'time_limit' | 'failed';

export interface ViewLines {
  record(record: ViewRecord): string;
  note(note: ViewNote): string;
  alive(): string;
  end(reason: ViewEnd): string;
}

const AT_START = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)(Z|[+-]\d\d:\d\d)/;

/** RFC 3339, where the line begins with it. */
export function timeOf(text: string): string | undefined {
  const [, day, time, zone] = AT_START.exec(text) ?? [];
  return day === undefined ? undefined : `${day}T${time}${zone}`;
}

const json: ViewLines = {
  record({ source, text }) {
    const time = timeOf(text);
    return `${JSON.stringify({ type: 'record', source, ...(time === undefined ? {} : { time }), text })}\n`;
  },
  note: (note) => `${JSON.stringify({ type: 'note', ...note })}\n`,
  alive: () => '{"type":"alive"}\n',
  end: (reason) => `${JSON.stringify({ type: 'end', reason })}\n`,
};

const text: ViewLines = {
  record: (record) => `${record.source} | ${record.text}\n`,
  note: (note) => `-- ${note.source}: ${note.text} (${note.code})\n`,
  // Nothing that a person would have to read.
  alive: () => '',
  end: (reason) => `-- end: ${reason}\n`,
};

export const viewLines = (format: LogViewFormat): ViewLines => (format === 'json' ? json : text);
