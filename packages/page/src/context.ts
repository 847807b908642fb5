/** What every view may use. */
import type { KhumbuClient } from '@khumbu/client/client';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { DepotState } from './depot.js';

export interface PageContext {
  readonly khumbu: KhumbuClient;
  readonly depot: DepotState;
  /** Rises whenever something has happened to this station. */
  readonly changesOf: (stationId: string) => number;
  /** Whether this caller may act. */
  readonly mayOperate: boolean;
  /** Whether this caller may see the security log. */
  readonly mayAdminister: boolean;
  /** Say something to the person. */
  readonly say: (text: string, isProblem?: boolean) => void;
}

export const Page = createContext<PageContext | undefined>(undefined);

export function usePage(): PageContext {
  const page = useContext(Page);
  if (!page) throw new Error('a view outside of the page');
  return page;
}
