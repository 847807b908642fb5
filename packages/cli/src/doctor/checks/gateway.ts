/** A gateway that runs: what it says of itself and of all services. */
import { describeError } from '@khumbu/shared/runtime/errors';
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Answer, Sight } from '../sight.js';

const { ok, warning, wrong, unknown } = about('gateway');

const membersOf = (body: unknown): [string, unknown][] =>
  typeof body === 'object' && body !== null ? Object.entries(body) : [];

/** `/readyz`. Pure. */
function judgeReadiness(url: string, { status, body }: Answer): Finding[] {
  const broken = membersOf(body).filter(([, state]) => typeof state === 'string' && state !== 'ok');
  if (status === 200 && broken.length === 0) return [ok(`${url} is ready`)];
  if (status !== 200 && status !== 503)
    return [wrong(`${url}/readyz answered HTTP ${status}`, 'is this the URL of a gateway? What stands before it?')];
  return broken.map(([name, state]) =>
    (status === 200 ? warning : wrong)(`${name}: ${String(state)}`, `see what is said of ${name} here, and its log`),
  );
}

interface DepotFile {
  readonly setting?: string;
  readonly service?: string;
  readonly usable?: boolean;
  readonly reason?: string;
}

/** `/v1/depot`. Pure. */
function judgeDepot({ status, body }: Answer): Finding[] {
  if (status === 401 || status === 403)
    return [wrong('the gateway does not know the key', 'khumbu keys list shows who may; --key-file names another')];
  const { files } = (body ?? {}) as { readonly files?: readonly DepotFile[] };
  if (status !== 200 || !Array.isArray(files)) return [unknown(`/v1/depot answered HTTP ${status}`, 'ask again')];
  return (files as readonly DepotFile[])
    .filter(({ usable }) => usable === false)
    .map(({ setting, service, reason }) =>
      wrong(`${setting} as ${service} follows it: ${reason}`, 'correct it; what was good last stays in use'),
    );
}

export async function lookAtGateway({ kind, url, key }: Place, sight: Sight): Promise<Finding[]> {
  let ready: Answer;
  try {
    ready = await sight.get(`${url}/readyz`);
  } catch (error) {
    const what = `no gateway answers at ${url}: ${describeError(error)}`;
    if (kind === 'up') return [warning(what, 'khumbu up starts one')];
    return [wrong(what, 'start it; its log says what keeps it from starting')];
  }
  const findings = judgeReadiness(url, ready);
  if (key === undefined)
    return [...findings, unknown('what the services say of their files', 'give a key: --key-file, KHUMBU_KEY_FILE')];
  return [...findings, ...judgeDepot(await sight.get(`${url}/v1/depot`, key))];
}
