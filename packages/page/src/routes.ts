/** Addresses behind the #: the server has one page. Pure, but for the hook. */
import { useEffect, useState } from 'preact/hooks';

export type Route =
  | { readonly view: 'stations' | 'operations' | 'images' }
  | { readonly view: 'station'; readonly stationId: string };

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    // Somebody has typed it.
    return text;
  }
};

export function routeOf(hash: string): Route {
  const [, view = '', name = ''] = hash.split('/');
  if (view === 'stations' && name !== '') return { view: 'station', stationId: decoded(name) };
  if (view === 'operations' || view === 'images') return { view };
  return { view: 'stations' };
}

export const stationAddress = (stationId: string): string => `#/stations/${encodeURIComponent(stationId)}`;

export function useRoute(): Route {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const read = (): void => setRoute(routeOf(location.hash));
    addEventListener('hashchange', read);
    return () => removeEventListener('hashchange', read);
  }, []);
  return route;
}
