/** Write an entry into the text of a stations file. What people wrote there stays as it is: comments, order, spaces. Pure. */
import { isMap, isScalar, parseDocument, stringify, type YAMLMap } from 'yaml';
import { CodedError } from '../runtime/errors.js';
import type { DriverEntry } from './driver-entry.js';
import { parseStationsFile } from './stations-file.js';

const INDENT = 2;

const FLAT = { lineWidth: 0, flowCollectionPadding: false } as const;

/** Argument vectors in one line, as people write them. */
function linesOf(station: string, driver: DriverEntry, column: number): readonly string[] {
  const document = parseDocument(stringify({ [station]: { driver } }, FLAT));
  const flatten = (node: unknown): void => {
    if (!isMap(node)) return;
    for (const { value } of node.items) {
      if (isMap(value)) flatten(value);
      else if (value && typeof value === 'object' && 'items' in value) Object.assign(value, { flow: true });
    }
  };
  flatten(document.contents);
  const lines = document
    .toString({ ...FLAT, indent: INDENT })
    .trimEnd()
    .split('\n');
  return lines.map((line) => `${' '.repeat(column)}${line}`);
}

/** Where another item goes in a map that is written as lines; `undefined`: it is not. */
function placeIn(map: unknown, text: string): { readonly at: number; readonly column: number } | undefined {
  if (!isMap(map) || map.flow || map.items.length === 0) return undefined;
  const { items } = map as YAMLMap;
  const [first, last] = [items[0]?.key, items.at(-1)];
  const end = (last?.value ?? last?.key) as { readonly range?: readonly number[] } | null;
  if (!isScalar(first) || !first.range || !end?.range) return undefined;
  const column = first.range[0] - (text.lastIndexOf('\n', first.range[0] - 1) + 1);
  // The value of a block ends behind its line end, another one before it.
  const from = (end.range[1] ?? 0) - 1;
  const lineEnd = text.indexOf('\n', from);
  return { at: lineEnd < 0 ? text.length : lineEnd + 1, column };
}

/**
 * The text with the station in it. Throws `STATION_THERE` for one that is there, `STATIONS_FILE_INVALID` for a text, or an entry,
 * that is no stations file.
 */
export function addStation(text: string, station: string, driver: DriverEntry): string {
  const before = parseStationsFile(text);
  if (before.stations && Object.hasOwn(before.stations, station))
    throw new CodedError('STATION_THERE', `${station} is in the stations file`);
  const document = parseDocument(text);
  const place = placeIn(document.get('stations'), text);
  let after: string;
  if (place) {
    const lineEnd = text.slice(0, place.at).endsWith('\n') ? '' : '\n';
    const entry = linesOf(station, driver, place.column).join('\n');
    after = `${text.slice(0, place.at)}${lineEnd}${entry}\n${text.slice(place.at)}`;
  } else {
    document.setIn(['stations', station], document.createNode({ driver }));
    after = document.toString(FLAT);
  }
  const { stations } = parseStationsFile(after);
  const others = Object.keys(before.stations ?? {});
  if (Object.keys(stations ?? {}).join('\n') !== [...others, station].join('\n'))
    throw new CodedError('STATIONS_FILE_INVALID', 'the entry cannot be written into this file: do it by hand');
  return after;
}
