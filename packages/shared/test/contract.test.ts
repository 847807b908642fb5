import { CHANNELS, type ChannelName, channelNames, fallbackReply } from '@khumbu/shared/contract/channels';
import { decode, encode, encodeReply, MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES } from '@khumbu/shared/contract/codec';
import {
  channelFilter,
  channelTopic,
  isTopicLevel,
  OCPP_CONSUMER,
  parseApiTopic,
  replyTopic,
  topicPrefix,
} from '@khumbu/shared/contract/topics';
import t from 'tap';
import { SPECIFICATION } from './specification.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');
const REPLY_TO = 'everest_api/1/system/m/m2e/reply/u';
const framed = (payload: string): string => `{"headers":{"replyTo":"${REPLY_TO}"},"payload":${payload}}`;
const reasonOf = (name: ChannelName, text: string): string => {
  const decoded = decode(name, bytes(text));
  return decoded.ok ? 'ok' : decoded.reason;
};

void t.test('the table holds every channel of system_API and no other', async (t) => {
  t.same(Object.keys(CHANNELS).sort(), Object.keys(SPECIFICATION).sort());
  for (const [name, [direction, frame, qos, fallback]] of Object.entries(SPECIFICATION)) {
    const channel = CHANNELS[name as ChannelName];
    t.same([channel.direction, channel.frame, channel.qos], [direction, frame, qos], name);
    const topic = channelTopic(topicPrefix(''), { station: 'm', moduleId: 'm' }, name as ChannelName);
    t.equal(topic, `everest_api/1/system/m/${direction}/${name}`);
    t.same(fallbackReply(name as ChannelName), fallback, `default reply of ${name}`);
    if (fallback !== undefined) t.equal(encodeReply(name as ChannelName, fallback), JSON.stringify(fallback));
  }
  t.equal(channelNames('e2m').length + channelNames('m2e').length, Object.keys(SPECIFICATION).length);
});

void t.test('what EVerest writes is read, byte for byte', async (t) => {
  const cases: [ChannelName, string, unknown, boolean][] = [
    [
      'update_firmware',
      framed('{"location":"http://x/y","request_id":-1}'),
      { location: 'http://x/y', request_id: -1 },
      true,
    ],
    [
      'update_firmware',
      framed(
        '{"install_timestamp":"2026-03-01T10:00:00.123Z","location":"ftp://h/f","request_id":2147483647,"retries":3,"retrieve_timestamp":"2026-02-28T23:59:59Z","retry_interval_s":0,"signature":"QQ==","signing_certificate":"-----BEGIN CERTIFICATE-----\\\\n"}',
      ),
      {
        install_timestamp: '2026-03-01T10:00:00.123Z',
        location: 'ftp://h/f',
        request_id: 2147483647,
        retries: 3,
        retrieve_timestamp: '2026-02-28T23:59:59Z',
        retry_interval_s: 0,
        signature: 'QQ==',
        signing_certificate: '-----BEGIN CERTIFICATE-----\\n',
      },
      true,
    ],
    ['upload_logs', framed('{"location":"http://x/"}'), { location: 'http://x/' }, true],
    [
      'upload_logs',
      framed('{"location":"s3://b/","request_id":0,"type":"SecurityLog"}'),
      { location: 's3://b/', request_id: 0, type: 'SecurityLog' },
      true,
    ],
    ['is_reset_allowed', framed('"Soft"'), 'Soft', true],
    ['is_reset_allowed', framed('"NotSpecified"'), 'NotSpecified', true],
    ['set_system_time', framed('"2026-02-03T04:05:06.789Z"'), '2026-02-03T04:05:06.789Z', true],
    ['get_boot_reason', `{"headers":{"replyTo":"${REPLY_TO}"}}`, undefined, true],
    [
      'configure_network',
      framed('{"interface":"Wired0","request_id":1}'),
      { interface: 'Wired0', request_id: 1 },
      true,
    ],
    ['reset', '{"scheduled":false,"type":"Soft"}', { scheduled: false, type: 'Soft' }, false],
    ['reset', '{"type":"Hard"}', { type: 'Hard' }, false],
    ['allow_firmware_installation', 'true', undefined, false],
    ['allow_firmware_installation', '', undefined, false],
    ['allow_firmware_installation', '\u0000{not json', undefined, false],
    ['heartbeat', '0', 0, false],
    ['heartbeat', '18446744073709551615', 2 ** 64, false],
  ];
  for (const [name, text, payload, answered] of cases) {
    t.same(
      decode(name, bytes(text)),
      { ok: true, payload, ...(answered ? { replyTo: REPLY_TO } : {}) },
      `${name} ${text.slice(0, 60)}`,
    );
  }
});

void t.test('a bad message is named, and answered where it says whom', async (t) => {
  const cases: [ChannelName, string, RegExp, boolean][] = [
    ['update_firmware', '', /not JSON/, false],
    ['update_firmware', '{"headers":{"replyTo":"x"},"payload":', /not JSON/, false],
    ['update_firmware', '[1]', /not an object/, false],
    ['update_firmware', 'null', /not an object/, false],
    ['update_firmware', `{"headers":{"replyTo":"${REPLY_TO}"}}`, /payload is missing/, true],
    ['update_firmware', framed('null'), /payload.*object/, true],
    ['update_firmware', framed('{"request_id":1}'), /location/, true],
    ['update_firmware', framed('{"location":"","request_id":1}'), /location/, true],
    ['update_firmware', framed('{"location":"x"}'), /request_id/, true],
    ['update_firmware', framed('{"location":"x","request_id":null}'), /request_id.*integer/, true],
    ['update_firmware', framed('{"location":"x","request_id":1,"retries":"3"}'), /retries.*integer/, true],
    ['update_firmware', framed('{"location":"x","request_id":1,"retry_interval_s":-1}'), /retry_interval_s/, true],
    [
      'update_firmware',
      framed('{"location":"x","request_id":1,"retrieve_timestamp":"tomorrow"}'),
      /retrieve_timestamp/,
      true,
    ],
    ['update_firmware', '{"payload":{"location":"x","request_id":1.5}}', /request_id/, false],
    ['update_firmware', '{"headers":{"replyTo":7},"payload":3}', /payload/, false],
    ['update_firmware', '{"headers":{"replyTo":""},"payload":3}', /payload/, false],
    ['upload_logs', framed('{}'), /location/, true],
    ['is_reset_allowed', framed('"soft"'), /payload/, true],
    ['is_reset_allowed', framed('true'), /payload/, true],
    ['set_system_time', framed('"2026-02-03 04:05"'), /payload/, true],
    ['set_system_time', framed('1770091506'), /payload/, true],
    ['configure_network', framed('{"interface":"eth0","request_id":1}'), /interface/, true],
    ['reset', '{"scheduled":false}', /type/, false],
    ['reset', '{"type":"Warm"}', /type/, false],
    ['reset', '"Soft"', /object/, false],
    ['reset', '{"type":"Soft","scheduled":1}', /scheduled/, false],
    ['upload_logs', framed(`{"location":"${'x'.repeat(MAX_REQUEST_BYTES)}","request_id":1}`), /longer than/, true],
    ['heartbeat', '-1', />= 0/, false],
    ['heartbeat', '1.5', /integer/, false],
    ['heartbeat', '"1"', /integer/, false],
    ['heartbeat', '1e999', /integer/, false],
    ['heartbeat', ' '.repeat(MAX_MESSAGE_BYTES + 1), /longer than/, false],
  ];
  for (const [name, text, reason, answered] of cases) {
    const decoded = decode(name, bytes(text));
    if (decoded.ok) {
      t.fail(`${name} ${text.slice(0, 80)} was taken`);
      continue;
    }
    t.match(decoded.reason, reason, `${name} ${text.slice(0, 80)}`);
    t.equal(decoded.replyTo, answered ? REPLY_TO : undefined, `${name} ${text.slice(0, 80)}: whom to answer`);
  }
  t.match(decode('reset', Buffer.from([0x22, 0xff, 0x22])), { ok: false, reason: 'not UTF-8' });
  const secret = decode('configure_network', bytes(framed('{"interface":"pin1234","request_id":"pin1234"}')));
  t.notMatch(JSON.stringify(secret), /pin1234/, 'a reason never repeats the value');
});

void t.test('time stamps that are taken can be calculated with', async (t) => {
  const cases: [string, boolean][] = [
    ['2026-11-22T08:45:14Z', true],
    ['2026-11-22T08:45:14.123456789Z', true],
    ['2026-11-22T08:45:14+01:00', true],
    ['2024-02-29T00:00:00Z', true],
    ['2026-02-29T00:00:00Z', false],
    ['2026-13-01T00:00:00Z', false],
    ['2026-11-22T08:45:14', false],
    ['2026-11-22', false],
    ['', false],
    // Fit for RFC 3339, but not a time any of our clocks can show.
    ['2016-12-31T23:59:60Z', false],
    ['2026-11-22T08:45:14+01', false],
  ];
  for (const [text, good] of cases) {
    t.equal(reasonOf('set_system_time', framed(JSON.stringify(text))) === 'ok', good, text);
    if (good) t.ok(Number.isFinite(Date.parse(text)));
  }
});

void t.test('ids are exact int32', async (t) => {
  const cases: [string, boolean][] = [
    ['-2147483648', true],
    ['2147483647', true],
    ['-1', true],
    ['0', true],
    ['-2147483649', false],
    ['2147483648', false],
    ['4294967295', false],
    ['9007199254740993', false],
    ['1e400', false],
    ['1.5', false],
    ['"1"', false],
    ['true', false],
    ['null', false],
  ];
  for (const [id, good] of cases) {
    const found = [
      reasonOf('update_firmware', framed(`{"location":"x","request_id":${id}}`)),
      reasonOf('upload_logs', framed(`{"location":"x","request_id":${id}}`)),
      reasonOf('configure_network', framed(`{"interface":"Any","request_id":${id}}`)),
    ];
    t.same(
      found.map((reason) => reason === 'ok'),
      [good, good, good],
      id,
    );
  }
});

void t.test('members nobody knows pass untouched', async (t) => {
  const payload = { location: 'x', request_id: 1, later: { deep: [1] } };
  t.match(
    decode(
      'update_firmware',
      bytes(`{"headers":{"replyTo":"${REPLY_TO}","trace":1},"payload":${JSON.stringify(payload)},"version":2}`),
    ),
    {
      ok: true,
      payload,
      replyTo: REPLY_TO,
    },
  );
  t.match(decode('reset', bytes('{"type":"Hard","why":"x"}')), { ok: true, payload: { type: 'Hard', why: 'x' } });
  t.match(
    decode(
      'configure_network',
      bytes(framed('{"interface":"Any","request_id":1,"vpn":{"server":"s","type":"Other","mtu":9}}')),
    ),
    { ok: true },
  );
});

void t.test('what EVerest would drop is not written', async (t) => {
  const good: [ChannelName, unknown, string][] = [
    [
      'firmware_update_status',
      { firmware_update_status: 'Downloading', request_id: -1 },
      '{"firmware_update_status":"Downloading","request_id":-1}',
    ],
    [
      'firmware_update_status',
      {
        firmware_update_status: 'Downloaded',
        request_id: 7,
        firmware_update_metadata: { disable_connectors_during_install: false },
      },
      '{"firmware_update_status":"Downloaded","request_id":7,"firmware_update_metadata":{"disable_connectors_during_install":false}}',
    ],
    ['log_status', { log_status: 'Uploaded', request_id: 0 }, '{"log_status":"Uploaded","request_id":0}'],
    [
      'configure_network_status',
      { request_id: 3, status: 'Ready', interface_address: 'eth0' },
      '{"request_id":3,"status":"Ready","interface_address":"eth0"}',
    ],
    ['communication_check', true, 'true'],
    ['heartbeat', 0, '0'],
    ['allow_firmware_installation', undefined, 'true'],
  ];
  for (const [name, payload, text] of good) t.equal(encode(name, payload), text);
  t.equal(encode('get_boot_reason', undefined, REPLY_TO), `{"headers":{"replyTo":"${REPLY_TO}"}}`);
  t.equal(encode('is_reset_allowed', 'Soft', REPLY_TO), framed('"Soft"'));

  const bad: [ChannelName, unknown][] = [
    ['firmware_update_status', { firmware_update_status: 'downloading', request_id: 1 }],
    ['firmware_update_status', { firmware_update_status: 'Downloading' }],
    ['firmware_update_status', { firmware_update_status: 'Downloading', request_id: 2 ** 31 }],
    [
      'firmware_update_status',
      {
        firmware_update_status: 'Downloaded',
        request_id: 1,
        firmware_update_metadata: { disable_connectors_during_install: null },
      },
    ],
    ['log_status', { log_status: 'Accepted', request_id: 1 }],
    ['log_status', undefined],
    ['communication_check', 1],
    ['communication_check', undefined],
    ['configure_network_status', { request_id: 3, status: 'Processing' }],
    ['update_firmware', undefined],
  ];
  for (const [name, payload] of bad)
    t.throws(() => encode(name, payload), TypeError, `${name} ${JSON.stringify(payload)}`);

  const replies: [ChannelName, unknown, boolean][] = [
    ['update_firmware', 'AcceptedCanceled', true],
    ['update_firmware', 'Accepted ', false],
    ['upload_logs', { upload_logs_status: 'Accepted', file_name: 'a.tar.gz' }, true],
    ['upload_logs', { upload_logs_status: 'Rejected', file_name: null }, false],
    ['upload_logs', 'Accepted', false],
    ['is_reset_allowed', true, true],
    ['is_reset_allowed', 1, false],
    ['set_system_time', 'true', false],
    ['get_boot_reason', 'FirmwareUpdate', true],
    ['get_boot_reason', 'Reboot', false],
    ['get_boot_reason', undefined, false],
    ['configure_network', { status: 'Processing' }, true],
    ['configure_network', { status: 'Ready', interface_address: null }, false],
    ['heartbeat', 1, false],
  ];
  for (const [name, reply, isGood] of replies) {
    if (isGood) t.equal(encodeReply(name, reply), JSON.stringify(reply));
    else t.throws(() => encodeReply(name, reply), TypeError, `${name} ${JSON.stringify(reply)}`);
  }
});

void t.test('the prefix template', async (t) => {
  for (const bad of [
    'depot/{station}',
    'depot{station}/',
    '{station}x/',
    '{station}/{station}/',
    'depot/+/',
    'depot/#',
    '$share/x/',
    'a\u0000b/',
  ])
    t.throws(() => topicPrefix(bad), { code: 'CONFIG_INVALID' }, JSON.stringify(bad));

  const address = { station: 'cp7', moduleId: 'sys' };
  const good: [string, string, string][] = [
    ['', 'everest_api/1/system/sys/m2e/log_status', 'everest_api/1/system/+/e2m/reset'],
    ['site-', 'site-everest_api/1/system/sys/m2e/log_status', 'site-everest_api/1/system/+/e2m/reset'],
    ['a/b/', 'a/b/everest_api/1/system/sys/m2e/log_status', 'a/b/everest_api/1/system/+/e2m/reset'],
    ['{station}/', 'cp7/everest_api/1/system/sys/m2e/log_status', '+/everest_api/1/system/+/e2m/reset'],
    [
      'depot/{station}/x',
      'depot/cp7/xeverest_api/1/system/sys/m2e/log_status',
      'depot/+/xeverest_api/1/system/+/e2m/reset',
    ],
  ];
  for (const [template, topic, filter] of good) {
    const prefix = topicPrefix(template);
    t.equal(channelTopic(prefix, address, 'log_status'), topic, template);
    t.equal(channelFilter(prefix, 'reset'), filter, template);
  }
  t.equal(
    OCPP_CONSUMER.getTopic(topicPrefix('depot/{station}/'), 'cp7', 'ocpp', 'connection_status'),
    'depot/cp7/everest_api/1/ocpp_consumer/ocpp/m2e/connection_status/get',
  );
});

void t.test('who a topic speaks of', async (t) => {
  const parsed = (template: string, topic: string) => parseApiTopic(topicPrefix(template), topic);
  const cases: [string, string, string | undefined][] = [
    ['', 'everest_api/1/system/sys/e2m/reset', 'sys/sys/system/reset'],
    ['site-', 'site-everest_api/1/system/sys/e2m/reset', 'sys/sys/system/reset'],
    ['depot/{station}/', 'depot/cp7/everest_api/1/system/sys/e2m/heartbeat', 'cp7/sys/system/heartbeat'],
    [
      'depot/{station}/',
      'depot/cp7/everest_api/1/ocpp_consumer/o/e2m/connection_status',
      'cp7/o/ocpp_consumer/connection_status',
    ],
    ['depot/{station}/', 'depot//everest_api/1/system/sys/e2m/reset', undefined],
    ['depot/{station}/', 'depot/everest_api/1/system/sys/e2m/reset', undefined],
    ['depot/{station}/', 'other/cp7/everest_api/1/system/sys/e2m/reset', undefined],
    ['depot/{station}/', 'depot/cp7/x/everest_api/1/system/sys/e2m/reset', undefined],
    [`{station}/`, `${'s'.repeat(129)}/everest_api/1/system/sys/e2m/reset`, undefined],
    ['', 'everest_api/1/system/sys/m2e/log_status', undefined],
    ['', 'everest_api/2/system/sys/e2m/reset', undefined],
    ['', 'everest_api/1/system//e2m/reset', undefined],
    ['', 'everest_api/ready_beacon', undefined],
    ['site-', 'everest_api/1/system/sys/e2m/reset', undefined],
  ];
  for (const [template, topic, wanted] of cases) {
    const found = parsed(template, topic);
    t.equal(found && `${found.station}/${found.moduleId}/${found.type}/${found.leaf}`, wanted, topic);
  }
  for (const level of ['', 'a/b', '+', '#', 'a\u0000', 'a\u0085', 'a\ud800', 'a\ufffe', 'a\u{1ffff}', 'x'.repeat(129)])
    t.notOk(isTopicLevel(level), JSON.stringify(level));
  for (const level of ['a', 'Säule 7', '$x', 'x'.repeat(128)]) t.ok(isTopicLevel(level), level);
});

void t.test("a reply stays inside the asking station's own reply topics", async (t) => {
  const prefix = topicPrefix('depot/{station}/');
  const address = { station: 'cp7', moduleId: 'sys' };
  t.equal(
    replyTopic(prefix, address, 'everest_api/1/system/sys/m2e/reply/7f3c'),
    'depot/cp7/everest_api/1/system/sys/m2e/reply/7f3c',
  );
  for (const outside of [
    '',
    'everest_api/1/system/sys/m2e/reply/',
    'everest_api/1/system/sys/m2e/reply',
    'everest_api/1/system/other/m2e/reply/u',
    'everest_api/1/system/sys/m2e/log_status',
    'everest_api/1/system/sys/m2e/reply/a/b',
    'everest_api/1/system/sys/m2e/reply/../../x',
    'everest_api/1/system/sys/m2e/reply/+',
    'everest_api/1/system/sys/m2e/reply/#',
    'everest_api/1/system/sys/m2e/reply/a\u0000',
    `everest_api/1/system/sys/m2e/reply/${'x'.repeat(200)}`,
    'depot/cp7/everest_api/1/system/sys/m2e/reply/u',
    'everest/other',
  ])
    t.equal(replyTopic(prefix, address, outside), undefined, JSON.stringify(outside));
});
