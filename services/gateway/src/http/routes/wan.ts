import type { WanRules } from '@khumbu/operations/wan/settings';
import type { WanView as Wan, WanStore } from '@khumbu/operations/wan/wan-store';
import { WanBudgetOrderSchema, WanSchema, type WanView } from '@khumbu/rest-contract/wan';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import type { FastifyRequest } from 'fastify';
import { ref } from '../contract-schemas.js';
import { reading } from '../inventory.js';
import { answers, describeRoute, type RestApp, WITH_ANY_BODY, WITH_BODY } from '../routing.js';
import type { Audit } from '../submit-operation.js';

export interface WanRouteDeps {
  readonly wan: {
    readonly rules: WanRules;
    /** Over the connection for reading. */
    readonly reading: Pick<WanStore, 'look'>;
    /** Fails fast. */
    readonly writing: Pick<WanStore, 'pause' | 'resume' | 'setBudget'>;
  };
  readonly audit: Audit;
}

const sum = (numbers: Iterable<number>): number => [...numbers].reduce((total, one) => total + one, 0);

function viewOf(
  { timeZone, rateBytesPerS, updateBudgetBytes, windows }: WanRules,
  { window, month, paused, pausedBy }: Wan,
): WanView {
  return {
    timeZone,
    ...(rateBytesPerS === undefined ? {} : { rateLimitBytesPerS: rateBytesPerS }),
    ...(updateBudgetBytes === undefined ? {} : { updateBudgetBytes }),
    paused,
    ...(pausedBy === undefined ? {} : { pausedSince: rfc3339(pausedBy.since) }),
    ...(pausedBy?.by === undefined ? {} : { pausedBy: pausedBy.by }),
    window: {
      times: windows.map(({ begin, end }) => `${begin}-${end}`),
      open: window.open,
      ...(window.until === undefined ? {} : { until: rfc3339(window.until) }),
    },
    month: {
      name: month.name,
      endsAt: rfc3339(month.endsAt),
      downloadedBytes: month.down,
      uploadedBytes: month.up,
      claimedBytes: sum(month.reserved.values()),
      ...(month.budget === undefined ? {} : { budgetBytes: month.budget }),
      ...(month.budgetBy === undefined ? {} : { budgetBy: month.budgetBy }),
    },
  };
}

/** `/v1/wan`: the link to the world. */
export function wanRoutes(app: RestApp, { wan, audit }: WanRouteDeps): void {
  const look = reading(wan.reading.look);
  const view = async (): Promise<WanView> => viewOf(wan.rules, await look());
  const changing = async (request: FastifyRequest, what: string, change: () => Promise<void>): Promise<WanView> => {
    await reading(change)();
    audit(request, what, '', { outcome: 'accepted' });
    return view();
  };
  const success = answers(200, 'The link as it is now.', ref(WanSchema));

  app.get(
    '/wan',
    describeRoute({
      id: 'getWan',
      tag: 'depot',
      scope: 'read',
      summary: 'The link to the world',
      description: 'Its limits, what went over it this month, and what keeps downloads now.',
      success,
      takes: {},
    }),
    view,
  );

  app.post(
    '/wan/pause',
    describeRoute({
      id: 'pauseDownloads',
      tag: 'depot',
      scope: 'operate',
      summary: 'Pause all downloads',
      description:
        'Those that run stop within seconds and keep what they have; log archives are sent all the same. Safe to repeat.',
      problems: WITH_ANY_BODY,
      success,
      takes: {},
    }),
    (request) => changing(request, 'pause_downloads', () => wan.writing.pause(request.caller?.name)),
  );

  app.post(
    '/wan/resume',
    describeRoute({
      id: 'resumeDownloads',
      tag: 'depot',
      scope: 'operate',
      summary: 'Let downloads go on',
      description: 'Ends the pause of all downloads. Safe to repeat.',
      problems: WITH_ANY_BODY,
      success,
      takes: {},
    }),
    (request) => changing(request, 'resume_downloads', () => wan.writing.resume()),
  );

  app.put(
    '/wan/budget',
    describeRoute({
      id: 'setWanBudget',
      tag: 'depot',
      scope: 'operate',
      summary: 'Another budget for this month',
      description:
        'In place of `WAN_MONTH_BUDGET_BYTES`, for the month that is now at the depot. Downloads that wait for bytes go on where it is enough for them. Safe to repeat.',
      problems: WITH_BODY.filter((code) => code !== 'IDEMPOTENCY_KEY_REUSED'),
      success,
      takes: { body: ref(WanBudgetOrderSchema) },
    }),
    (request) => {
      const { budgetBytes } = request.body;
      const bytes = budgetBytes === 'unlimited' ? undefined : budgetBytes;
      return changing(request, 'set_wan_budget', () => wan.writing.setBudget(bytes, request.caller?.name));
    },
  );
}
