/** What filters of operations know, with the kinds and statuses there are. */
import { OPERATION_FIELDS } from '@khumbu/filter/fields';
import { STATION_KINDS } from '@khumbu/operations/kinds/kinds';
import { STATUS_FILTERS } from './operations.js';

export const OPERATION_FILTER = {
  ...OPERATION_FIELDS,
  kind: { ...OPERATION_FIELDS.kind, values: [...STATION_KINDS] },
  status: { ...OPERATION_FIELDS.status, values: STATUS_FILTERS },
} as const;
