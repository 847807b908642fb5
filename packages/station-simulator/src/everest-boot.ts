/**
 * One run of an EVerest process as the broker sees it. Sources: EVerest `lib/everest/io/src/mqtt`, `framework/lib`,
 * `everest_api_module_helpers/src/ApiHelper.cpp`.
 */
import { type ChannelName, channelNames, type M2eChannelName } from '@khumbu/shared/contract/channels';
import { dump } from '@khumbu/shared/contract/everest-frames';
import {
  channelTopic,
  DISCOVERY,
  EVSE_SECURITY,
  OCPP_CONSUMER,
  type StationAddress,
  type TopicPrefix,
  topicPrefix,
} from '@khumbu/shared/contract/topics';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { createRequests, type RequestOutcome } from './boot-requests.js';
import { BootWire } from './boot-wire.js';
import { hasEnvelope, parseJson, readReplyTo } from './everest-frames.js';
import { EVSE_SECURITY_MODULE, type EverestModuleOptions, OCPP_CONSUMER_MODULE } from './everest-options.js';

export interface BootHandlers {
  received(name: M2eChannelName, bytes: Buffer): void;
  /** Called before anything that arrives after the reply is looked at. */
  ended(outcome: RequestOutcome): void;
  /** Something EVerest would drop. */
  broken(what: string): void;
  /** Bytes of the answer for a latched `ocpp_consumer` variable. */
  latched(leaf: string): string;
  /** The connection is gone, and the process with it. */
  lost(): void;
}

type CertificateStatuses = NonNullable<EverestModuleOptions['certificates']>;

interface Routing {
  readonly wire: BootWire;
  readonly handlers: BootHandlers;
  readonly prefix: TopicPrefix;
  readonly address: StationAddress;
  /** Begins each topic of the station. */
  readonly home: string;
}

function routeStatuses({ wire, handlers, prefix, address }: Routing): void {
  for (const name of channelNames('m2e') as M2eChannelName[]) {
    wire.route(channelTopic(prefix, address, name), (bytes) => {
      if (hasEnvelope(parseJson(bytes))) handlers.broken(`${name}: has an envelope`);
      handlers.received(name, bytes);
    });
  }
}

/** Each API module answers on its own. */
function routeDiscovery({ wire, home, address }: Routing, hasConsumer: boolean, monitoring: object): void {
  const modules = [{ type: 'system', moduleId: address.moduleId }];
  if (hasConsumer) modules.push({ type: OCPP_CONSUMER.type, moduleId: OCPP_CONSUMER_MODULE });
  const answer = (wanted: (type: string) => boolean) => (bytes: Buffer) => {
    const replyTo = readReplyTo(bytes);
    if (replyTo === undefined) return;
    for (const { type, moduleId } of modules) {
      if (!wanted(type)) continue;
      const apis = [{ type, module_id: moduleId, version: 1, communication_monitoring: monitoring }];
      wire.publish(`${home}${replyTo}`, dump({ apis }, 4));
    }
  };
  wire.route(
    `${home}everest_api/discover`,
    answer(() => true),
  );
  for (const { type } of modules) {
    wire.route(
      `${home}${DISCOVERY.queryTopic(type)}`,
      answer((asked) => asked === type),
    );
  }
}

function routeLatched({ wire, handlers, home, prefix, address }: Routing): void {
  for (const leaf of OCPP_CONSUMER.leaves) {
    wire.route(OCPP_CONSUMER.getTopic(prefix, address.station, OCPP_CONSUMER_MODULE, leaf), (bytes) => {
      const replyTo = readReplyTo(bytes);
      if (replyTo !== undefined) wire.publish(`${home}${replyTo}`, handlers.latched(leaf));
    });
  }
}

/** As EVerest's module does: the certificates that it names, and the password of their key beside them. */
function routeCertificates({ wire, home, prefix, address }: Routing, certificates: CertificateStatuses): void {
  wire.route(EVSE_SECURITY.leafTopic(prefix, address.station, EVSE_SECURITY_MODULE), (bytes) => {
    const replyTo = readReplyTo(bytes);
    const frame = parseJson(bytes) as { readonly payload?: { readonly certificate_type?: string } } | undefined;
    const leaf = EVSE_SECURITY.leaves.find((kind) => kind === frame?.payload?.certificate_type);
    const status = leaf && certificates()[leaf];
    if (replyTo === undefined || status === undefined) return;
    const info = {
      key: `/etc/everest/certs/client/${leaf}.key`,
      certificate_count: 1,
      password: 'a-password-of-a-key',
    };
    wire.publish(`${home}${replyTo}`, dump({ status, ...(status === 'Accepted' ? { info } : {}) }));
  });
}

/** Connect and subscribe. Rejects with `STATION_CONNECT_FAILED`. */
export async function startBoot(options: EverestModuleOptions, handlers: BootHandlers) {
  const { station, moduleId = station, answersDiscovery = true, exposeOcppConsumer = false } = options;
  const prefix = topicPrefix(options.topicPrefix ?? '');
  const address = { station, moduleId };
  const monitoring = {
    heartbeat_period_ms: options.heartbeatMs ?? 1000,
    communication_check_period_s: options.communicationCheckS ?? 5,
    request_reply_timeout_s: options.requestReplyTimeoutS ?? 30,
  };
  const home = prefix.of(station);
  const wire = await BootWire.open(options, {
    retained: (topic) => handlers.broken(`${topic.slice(home.length)}: published as retained`),
    lost: () => handlers.lost(),
  });
  const request = createRequests({
    wire,
    prefix,
    address,
    timeoutMs: monitoring.request_reply_timeout_s * 1000,
    ended: (outcome) => handlers.ended(outcome),
    broken: (what) => handlers.broken(what),
  });
  const routing = { wire, handlers, prefix, address, home };
  routeStatuses(routing);
  if (answersDiscovery) routeDiscovery(routing, exposeOcppConsumer, monitoring);
  if (exposeOcppConsumer) routeLatched(routing);
  if (options.certificates) routeCertificates(routing, options.certificates);
  await wire.subscribeRoutes();

  return {
    /** Commands of one name wait for each other, different ones do not. Rejects with `STATION_DOWN`. */
    request,
    /** Publish the bytes of a channel without a reply. */
    send: (name: ChannelName, text: string): void => wire.publish(channelTopic(prefix, address, name), text),
    /** Publish below the station's prefix. */
    publish: (rest: string, text: string): void => wire.publish(`${home}${rest}`, text),
    /** Messages are handled from now on. */
    listen: (): void => wire.listen(),
    /** The beacon, then heartbeats 0, 1, 2...; no heartbeats for a period of 0 or less. */
    beginHeartbeats(): void {
      if (wire.ended.aborted) return;
      wire.publish(`${home}${DISCOVERY.readyBeacon}`, '{}');
      if (monitoring.heartbeat_period_ms <= 0) return;
      let id = 0;
      const beat = (): void => wire.publish(channelTopic(prefix, address, 'heartbeat'), String(id++));
      beat();
      const heartbeats = setInterval(beat, monitoring.heartbeat_period_ms);
      onAbort(wire.ended, () => clearInterval(heartbeats));
    },
    /** End the process: says goodbye if the broker still listens. Safe to repeat. */
    stop: (): Promise<void> => wire.stop(),
  };
}
export type EverestBoot = Awaited<ReturnType<typeof startBoot>>;
