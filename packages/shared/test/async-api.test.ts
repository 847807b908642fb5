import { type Diagnostic, Parser } from '@asyncapi/parser';
import { asyncApiDocument } from '@khumbu/shared/contract/async-api';
import { CHANNELS, type ChannelName, fallbackReply } from '@khumbu/shared/contract/channels';
import { decode, encode, encodeReply } from '@khumbu/shared/contract/codec';
import { channelTopic, DISCOVERY, topicPrefix } from '@khumbu/shared/contract/topics';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import t, { type Test } from 'tap';
import { ANSWERED, ENUMS, OBJECTS, PAYLOADS, SCALARS, SPECIFIED } from './specification.js';

type Json = { readonly [key: string]: unknown };

/** What a reader of /asyncapi.json gets. */
const published = (options?: Parameters<typeof asyncApiDocument>[0]) =>
  JSON.parse(JSON.stringify(asyncApiDocument(options))) as ReturnType<typeof asyncApiDocument>;

/** Every finding of the official parser but its hint that 3.1 exists. */
async function findings(document: unknown): Promise<string[]> {
  const { diagnostics } = await new Parser().parse(JSON.stringify(document));
  return diagnostics
    .filter(({ code }: Diagnostic) => code !== 'asyncapi-latest-version')
    .map(({ code, message, path }: Diagnostic) => `${String(code)} ${path.join('.')} ${message}`);
}

/** A schema in the words of the specification's tables. */
function inWords(schema: Json): string {
  if (typeof schema.$ref === 'string') return schema.$ref.replace('#/components/schemas/', '');
  if (schema.type === 'array') return `${inWords(schema.items as Json)}[]`;
  const format = typeof schema.format === 'string' ? ` ${schema.format}` : '';
  // The bounds that the specification does not have: those of 32 bit, or no negative seconds and counts.
  const from = typeof schema.minimum === 'number' && schema.minimum > 0 ? ` from ${schema.minimum}` : '';
  return `${String(schema.type)}${format}${from}`;
}

function membersInWords(schema: Json): Record<string, string> {
  const required = (schema.required ?? []) as string[];
  const members = Object.entries((schema.properties ?? {}) as Record<string, Json>);
  return Object.fromEntries(members.map(([n, member]) => [required.includes(n) ? `${n}!` : n, inWords(member)]));
}

function payloadInWords(t: Test, payload: Json | undefined): string | undefined {
  const frame = payload?.properties as Record<string, Json> | undefined;
  if (!payload || !frame) return payload && inWords(payload);
  t.same(membersInWords(frame.headers ?? {}), { replyTo: 'string' });
  const { payload: inner } = frame;
  t.same(payload.required, inner && ['payload']);
  return `[${inner ? inWords(inner) : ''}]`;
}

void t.test('the official parser has nothing to say against it, and would', async (t) => {
  t.same(await findings(published()), []);
  t.same(await findings(published({ topicPrefix: 'depot/{station}/', brokerHost: 'mqtt.depot.example:8883' })), []);

  const wrong = published();
  (wrong.operations.receive_reset as { action: string }).action = 'subscribe';
  t.match((await findings(wrong)).join('\n'), /operations\.receive_reset\.action/);
  const lost = published();
  delete lost.components.schemas.ResetType;
  t.match((await findings(lost)).join('\n'), /ResetType/);
});

void t.test('channels, operations and messages are those of the specification', async (t) => {
  const { channels, operations, components } = published();
  const names = Object.keys(SPECIFIED).sort();
  t.same(Object.keys(channels).sort(), names);
  t.same(Object.keys(operations).sort(), names);
  t.same(Object.keys(components.messages).sort(), names);
  t.same(Object.keys(PAYLOADS).sort(), names);
  for (const [name, [address, action, server, reply]] of Object.entries(SPECIFIED)) {
    t.match(channels[name], { address, messages: { [name]: { $ref: `#/components/messages/${name}` } } }, name);
    t.same(channels[name]?.servers, [{ $ref: `#/servers/${server}` }], `${name}: server`);
    t.match(operations[name], { action, channel: { $ref: `#/channels/${name}` } }, name);
    t.equal(operations[name]?.reply?.channel.$ref, reply && `#/channels/${reply}`, `${name}: reply`);
    t.equal(components.messages[name]?.name, name);
    t.equal(payloadInWords(t, components.messages[name]?.payload), PAYLOADS[name], `${name}: payload`);
  }
});

void t.test('schemas are those of the specification', async (t) => {
  const { schemas } = published().components;
  t.same(Object.keys(schemas).sort(), [...Object.keys(ENUMS), ...Object.keys(SCALARS), ...Object.keys(OBJECTS)].sort());
  for (const [name, values] of Object.entries(ENUMS)) {
    const { type, enum: choices } = schemas[name] ?? {};
    t.same({ type, choices }, { type: 'string', choices: values }, name);
  }
  for (const [name, words] of Object.entries(SCALARS)) t.equal(inWords(schemas[name] ?? {}), words, name);
  for (const [name, { additional, members }] of Object.entries(OBJECTS)) {
    t.equal(schemas[name]?.type, 'object', name);
    t.equal(schemas[name]?.additionalProperties, additional, `${name}: additional members`);
    t.same(membersInWords(schemas[name] ?? {}), members, name);
  }
  t.match(schemas.FirmwareUpdateMetadata, { properties: { disable_connectors_during_install: { default: true } } });
  for (const [name, schema] of Object.entries(schemas)) {
    t.type(schema.description, 'string', `${name} is described`);
    t.notOk('$id' in schema, name);
  }
});

void t.test('topics are those the bridge uses, with and without a prefix', async (t) => {
  for (const template of ['', 'depot/{station}/', 'site7/']) {
    const { channels, servers } = published({ topicPrefix: template });
    const prefix = topicPrefix(template);
    const full = (name: string): string => {
      const { servers: [server] = [], address } = channels[name] ?? {};
      const { pathname } = servers[server?.$ref === '#/servers/default' ? 'default' : 'entrypoint'];
      return `${pathname}/${address ?? ''}`
        .replace('{station}', 'cp7')
        .replace('{module_id}', 'm1')
        .replace('{api_type}', 'system');
    };
    for (const name of Object.keys(CHANNELS) as ChannelName[]) {
      const there = [`receive_request_${name}`, `receive_${name}`, `send_${name}`].filter((id) => id in channels);
      t.same(there.map(full), [channelTopic(prefix, { station: 'cp7', moduleId: 'm1' }, name)]);
    }
    t.equal(full('send_ready_beacon'), `${prefix.of('cp7')}${DISCOVERY.readyBeacon}`);
    t.equal(full('send_request_query_module'), `${prefix.of('cp7')}${DISCOVERY.queryTopic('system')}`);
    const variables = prefix.perStation ? ['station', 'module_id'] : ['module_id'];
    t.same(Object.keys(servers.default.variables ?? {}), variables);
  }
  t.throws(() => asyncApiDocument({ topicPrefix: 'depot/#/' }), { code: 'CONFIG_INVALID' });
});

void t.test('examples fit the schemas beside them', async (t) => {
  const { components } = published();
  const ajv = new Ajv({ strict: false });
  addFormats.default(ajv);
  ajv.addSchema({ components }, 'document');
  for (const [name, { payload, examples = [] }] of Object.entries(components.messages)) {
    if (!payload) continue;
    const fits = ajv.compile({ $ref: `document#/components/messages/${name}/payload` });
    t.ok(examples.length > 0, `${name} has an example`);
    for (const example of examples) t.ok(fits(example.payload), `${name}: ${JSON.stringify(fits.errors)}`);
  }
  const fits = ajv.compile({ $ref: 'document#/components/messages/send_log_status/payload' });
  t.notOk(fits({ log_status: 'Done', request_id: 1 }), 'and others do not');
});

void t.test('the codec reads and writes the examples as they stand', async (t) => {
  const { messages } = published().components;
  const examplesOf = (id: string): unknown[] => (messages[id]?.examples ?? []).map(({ payload }) => payload);
  for (const name of Object.keys(CHANNELS) as ChannelName[]) {
    const told = [...examplesOf(`receive_request_${name}`), ...examplesOf(`receive_${name}`)];
    for (const payload of told) t.match(decode(name, Buffer.from(JSON.stringify(payload))), { ok: true }, name);
    const sent = examplesOf(`send_${name}`);
    for (const payload of sent) t.equal(encode(name, payload), JSON.stringify(payload), name);
    for (const payload of examplesOf(`send_reply_${name}`))
      t.equal(encodeReply(name, payload), JSON.stringify(payload));
  }
});

void t.test('where the wire differs, the descriptions say so', async (t) => {
  const { info, operations, components } = published();
  const { messages, schemas } = components;
  const said = (id: string): string => messages[id]?.description ?? '';
  t.match(said('receive_allow_firmware_installation'), /four bytes `true`.*any content/);
  t.match(said('receive_request_get_boot_reason'), /no `payload` member/);
  t.match(said('receive_reset'), /bare, without headers.*without a known type is refused/);
  t.match(said('receive_heartbeat'), /bare decimal number/);
  t.match(said('send_communication_check'), /Khumbu never sends it/);
  t.match(said('send_log_status'), /AcceptedCanceled goes only to stations of OCPP 2.x/);
  t.match(said('send_ready_beacon'), /Sent by EVerest, received by Khumbu/);
  t.match(schemas.ResetRequest?.description, /a request without it is refused/);
  for (const kind of ['FirmwareUpdateRequest', 'UploadLogsRequest']) {
    t.match(schemas[kind], { properties: { retries: { description: /0 is tolerated and means one try/ } } });
  }
  for (const kind of ['APN', 'VPN', 'ConfigureNetworkRequest']) t.match(schemas[kind]?.description, /tolerated/);
  t.match(info.description, /without EVerest's `mqtt_external_prefix`/);
  t.match(info.description, /publishes with QoS 2 and subscribes with QoS 0/);
  t.match(info.description, /signed 32 bit/);
  for (const name of ANSWERED) {
    const assumed = JSON.stringify(fallbackReply(name as ChannelName));
    t.ok(said(`receive_request_${name}`).includes(`EVerest assumes \`${assumed}\``), name);
    t.equal(operations[`receive_request_${name}`]?.reply?.address.location, '$message.payload#/headers/replyTo');
  }
  const qos = (id: string) => operations[id]?.bindings.mqtt.qos;
  t.same([qos('receive_heartbeat'), qos('receive_reset'), qos('send_log_status')], [0, 1, 1]);
});
