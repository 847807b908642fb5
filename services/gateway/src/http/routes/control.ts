import type { Questions } from '@khumbu/intake/questions';
import { NetworkOrderSchema, ResetOrderSchema, SystemTimeOrderSchema } from '@khumbu/rest-contract/orders';
import { IdempotencyHeaders, ResetPermissionQuery, StationParams } from '@khumbu/rest-contract/parameters';
import { BootReasonViewSchema, ResetPermissionSchema } from '@khumbu/rest-contract/stations';
import { ref } from '../contract-schemas.js';
import { reading } from '../inventory.js';
import { REST_REQUEST_ID, resetSubmission } from '../orders.js';
import { accepted, answers, describeRoute, REFUSALS, type RestApp, WITH_BODY } from '../routing.js';
import type { CancelDeps } from './cancel.js';

type ControlDeps = CancelDeps & { readonly questions: Questions };

function resetRoutes(app: RestApp, { submit, intake, inventory, questions }: ControlDeps): void {
  const resetPermission = reading((station: string) => questions.resetPermission(station));

  app.post(
    '/stations/:stationId/reset',
    describeRoute({
      id: 'resetStation',
      tag: 'control',
      scope: 'operate',
      summary: 'Reset a station',
      description:
        '`Soft` restarts EVerest; `Hard` and `NotSpecified` reboot the station. During an install the reset is kept and done right after. One reset is open per station: the same again is the same operation. Charging sessions end; ask the CSMS for a reset that waits for them.',
      problems: [...WITH_BODY, ...REFUSALS],
      success: accepted,
      takes: { params: StationParams, headers: IdempotencyHeaders, body: ref(ResetOrderSchema) },
    }),
    (request, reply) => submit(request, reply, resetSubmission(request.body, { intake })(request.params.stationId)),
  );

  app.get(
    '/stations/:stationId/reset-permission',
    describeRoute({
      id: 'getResetPermission',
      tag: 'control',
      scope: 'read',
      summary: 'May it be reset?',
      description: 'What EVerest would be answered now. Nothing is reserved and nothing changes.',
      problems: ['STATION_UNKNOWN'],
      success: answers(200, 'The permission.', ref(ResetPermissionSchema)),
      takes: { params: StationParams, querystring: ResetPermissionQuery },
    }),
    async ({ params: { stationId }, query }) => {
      await inventory.requireStation(stationId);
      return { type: query.type ?? 'NotSpecified', ...(await resetPermission(stationId)) };
    },
  );
}

function clockRoutes(app: RestApp, { submit, intake, inventory, questions }: ControlDeps): void {
  const bootReason = reading((station: string) => questions.bootReason(station));

  app.put(
    '/stations/:stationId/system-time',
    describeRoute({
      id: 'setSystemTime',
      tag: 'control',
      scope: 'admin',
      summary: 'Set the clock',
      description: 'A small difference is left alone. A time that could not be set within two seconds is dropped.',
      problems: [...WITH_BODY, 'TIME_ABSURD', 'STATION_UNKNOWN', 'STATION_NOT_CONFIGURED', 'STATION_IN_CONFLICT'],
      success: accepted,
      takes: { params: StationParams, headers: IdempotencyHeaders, body: ref(SystemTimeOrderSchema) },
    }),
    (request, reply) =>
      submit(request, reply, {
        what: 'set_system_time',
        station: request.params.stationId,
        decide: (requester) => intake.setSystemTime(request.body.time, requester),
      }),
  );

  app.get(
    '/stations/:stationId/boot-reason',
    describeRoute({
      id: 'getBootReason',
      tag: 'control',
      scope: 'read',
      summary: 'Why did it start?',
      description: 'What EVerest was told in its present boot. Asking begins no boot and changes nothing.',
      problems: ['STATION_UNKNOWN'],
      success: answers(200, 'The reason.', ref(BootReasonViewSchema)),
      takes: { params: StationParams },
    }),
    async ({ params: { stationId } }) => {
      await inventory.requireStation(stationId);
      const { bootEpoch, reason } = await bootReason(stationId);
      return { bootEpoch, bootReason: reason ?? ('Unknown' as const), told: reason !== undefined };
    },
  );
}

function networkRoute(app: RestApp, { submit, intake }: ControlDeps): void {
  app.put(
    '/stations/:stationId/network',
    describeRoute({
      id: 'configureNetwork',
      tag: 'control',
      scope: 'admin',
      summary: 'Prepare a network interface',
      description:
        'Where the station’s driver can. Passwords and keys are kept until the operation has ended and never shown.',
      problems: [...WITH_BODY, ...REFUSALS, 'NETWORK_NOT_SUPPORTED', 'INTERFACE_UNKNOWN'],
      success: accepted,
      takes: { params: StationParams, headers: IdempotencyHeaders, body: ref(NetworkOrderSchema) },
    }),
    (request, reply) => {
      const { replace, title, ...order } = request.body;
      return submit(request, reply, {
        what: 'configure_network',
        station: request.params.stationId,
        replace,
        title,
        decide: (requester) => intake.configureNetwork({ ...order, request_id: REST_REQUEST_ID }, requester),
      });
    },
  );
}

/** Resets, clocks, boot reasons and networks. */
export function controlRoutes(app: RestApp, deps: ControlDeps): void {
  resetRoutes(app, deps);
  clockRoutes(app, deps);
  networkRoute(app, deps);
}
