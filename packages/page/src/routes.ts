/** Addresses behind the #: the server has one page. Pure, but for the hook and `goTo`. */
import { useEffect, useState } from 'preact/hooks';

export const LISTS = ['stations', 'operations', 'images', 'audit'] as const;
export type ListName = (typeof LISTS)[number];

export type Route =
  /** `filter`: what of it is shown; empty: all. */
  { readonly view: ListName; readonly filter: string } | { readonly view: 'station'; readonly stationId: string };

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    // Somebody has typed it.
    return text;
  }
};

export function routeOf(hash: string): Route {
  const [path = '', query = ''] = hash.split('?');
  const [, name = '', stationId = ''] = path.split('/');
  if (name === 'stations' && stationId !== '') return { view: 'station', stationId: decoded(stationId) };
  const view = LISTS.find((each) => each === name) ?? 'stations';
  return { view, filter: new URLSearchParams(query).get('filter') ?? '' };
}

export const stationAddress = (stationId: string): string => `#/stations/${encodeURIComponent(stationId)}`;
export const listAddress = (view: ListName, filter = ''): string =>
  `#/${view}${filter === '' ? '' : `?filter=${encodeURIComponent(filter)}`}`;

/** Nothing to go back to remains of the address before: each letter of a filter would. */
export const goTo = (address: string): void => location.replace(address);

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const read = (): void => setRoute(routeOf(location.hash));
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }, []);
  return route;
}
