/** Parameters of paths and queries, and headers. */
import { MOST_CHARACTERS } from '@khumbu/filter/parse-filter';
import { STATION_KINDS } from '@khumbu/operations/kinds/kinds';
import { Type } from 'typebox';
import { closed, optionalText, optionalTime, text } from './members.js';
import { STATUS_FILTERS } from './operations.js';

const Page = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100, description: 'Items on a page.' })),
  cursor: optionalText('nextCursor of the page before.'),
};
export const StationParams = Type.Object({ stationId: text('Id of the station.', { examples: ['cs-1'] }) });
export const OperationParams = Type.Object({ operationId: text('Id of the operation.') });
export const StationOperationParams = Type.Object({ ...StationParams.properties, ...OperationParams.properties });
export const WebhookParams = Type.Object({ webhookId: text('Id of the webhook.', { examples: ['wh_0a1b2c3d4e5f'] }) });
export const DeliveryParams = Type.Object({ ...WebhookParams.properties, deliveryId: text('Id of the message.') });
export const PageQuery = Type.Object(Page, closed);
const filter = (examples: string[]) =>
  optionalText('Only what fits this filter.', { minLength: 1, maxLength: MOST_CHARACTERS, examples });
const withTotal = Type.Optional(Type.Boolean({ description: 'true: tell how many there are on all pages.' }));
export const StationsQuery = Type.Object(
  {
    filter: filter(['label.site = north and version < 2.1']),
    sort: Type.Optional(
      Type.Enum(['stationId', '-stationId', 'lastSeenAt', '-lastSeenAt', 'version', '-version'], {
        description: 'In which order; `-`: the last one first. By name where it is absent.',
      }),
    ),
    since: optionalTime('Only those that were heard at this time or later.'),
    until: optionalTime('Only those that were heard before this time, and not since.'),
    total: withTotal,
    ...Page,
  },
  closed,
);
const status = Type.Optional(
  Type.Enum(STATUS_FILTERS, { description: '`open`, `ended`, or a status such as `Downloading`.', examples: ['open'] }),
);
const origin = Type.Optional(Type.Enum(['everest', 'rest'], { description: 'Who asked.' }));
export const StationOperationsQuery = Type.Object({ status, origin, ...Page }, closed);
export const OperationsQuery = Type.Object(
  {
    station: optionalText('Only of this station.'),
    kind: Type.Optional(Type.Enum([...STATION_KINDS], { description: 'Only of this kind.' })),
    status,
    origin,
    filter: filter(['kind = log_upload and ok = false']),
    sort: Type.Optional(
      Type.Enum(['createdAt', '-createdAt', 'updatedAt', '-updatedAt'], {
        description:
          'In which order; `-`: the newest first. Where it is absent, open ones come first, then ended ones, the newest first in each part.',
      }),
    ),
    since: optionalTime('Only those that were asked for at this time or later.'),
    until: optionalTime('Only those that were asked for before this time.'),
    total: withTotal,
    ...Page,
  },
  closed,
);
export const ResetPermissionQuery = Type.Object(
  {
    type: Type.Optional(
      Type.Enum(['Soft', 'Hard', 'NotSpecified'], { description: 'Which reset.', default: 'NotSpecified' }),
    ),
  },
  closed,
);
export const EventsQuery = Type.Object(
  {
    station: Type.Optional(
      Type.Array(Type.String(), { maxItems: 1000, description: 'Only of these stations; may be repeated.' }),
    ),
    kind: Type.Optional(
      Type.Array(Type.Enum([...STATION_KINDS]), { description: 'Only operations of these kinds; may be repeated.' }),
    ),
    type: Type.Optional(
      Type.Array(Type.Enum(['operation', 'station', 'progress']), {
        description: 'Only events of these types; may be repeated.',
      }),
    ),
  },
  closed,
);
export const EventsHeaders = Type.Object({
  'last-event-id': optionalText('Id of the last event that was received: those after it are sent first.'),
});
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': optionalText(
    'Names the request: sent again with the same key it gets the same answer and does nothing new, for 24 hours.',
    { minLength: 1, maxLength: 255, examples: ['5e9d1c1e-7f0b-4d0e-9c55-0a8c3f6f1a10'] },
  ),
});
