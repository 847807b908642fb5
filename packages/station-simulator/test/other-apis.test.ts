/** The APIs of EVerest beside `system_API`: discovery, `ocpp_consumer_API` and `evse_security_consumer_API`. */
import t from 'tap';
import { BOOTED, DEADLINE_MS, openWire } from './wire-stage.js';

const { station, foreigner } = await openWire(t, t.testdir());

void t.test('discovery: each API module answers on its own', async (t) => {
  const { module, root } = station(t, { exposeOcppConsumer: true, communicationCheckS: 9, requestReplyTimeoutS: 20 });
  const peer = await foreigner(t, root, BOOTED);
  await module.start();
  await peer.say(`${root}everest_api/query-modules/system`, '{"headers":{}}');
  await peer.say(`${root}everest_api/query-modules/system`, '{"headers":{"replyTo":"everest_api/me/1"}}');
  t.same(JSON.parse((await peer.message('everest_api/me/1')).text), {
    apis: [
      {
        type: 'system',
        module_id: module.moduleId,
        version: 1,
        communication_monitoring: {
          heartbeat_period_ms: 50,
          communication_check_period_s: 9,
          request_reply_timeout_s: 20,
        },
      },
    ],
  });
  await peer.say(`${root}everest_api/discover`, '{"headers":{"replyTo":"everest_api/me/2"}}');
  await peer.message('everest_api/me/2', 1);
  t.same(
    peer.on('everest_api/me/2').map(({ text }) => JSON.parse(text).apis[0].type),
    ['system', 'ocpp_consumer'],
  );
  t.equal(peer.on('everest_api/me/1').length, 1, 'no replyTo, no answer');
});

void t.test('ocpp_consumer: registration after the boot reason, with latched values', async (t) => {
  const { module, root } = station(t, { exposeOcppConsumer: true, dialect: 'ocpp1.6' });
  const peer = await foreigner(t, root);
  await module.start();
  const get = (leaf: string, n: number) =>
    peer.say(
      `${root}everest_api/1/ocpp_consumer/ocpp_consumer/m2e/${leaf}/get`,
      `{"headers":{"replyTo":"everest_api/me/${n}"}}`,
    );
  await get('boot_notification_response', 1);
  t.equal((await peer.message('everest_api/me/1')).text, 'true', 'no value yet');
  await peer.say(
    `${root}everest_api/1/system/${module.moduleId}/m2e/firmware_update_status`,
    '{"firmware_update_status":"DownloadFailed","request_id":-1}',
  );
  await module.awaitThat((s) => s.violations.some((v) => /before the station was registered/.test(v)), DEADLINE_MS);
  const { replyTo } = JSON.parse((await peer.message('/get_boot_reason')).text).headers;
  await peer.say(`${root}${replyTo}`, '"FirmwareUpdate"');
  t.equal((await peer.message('/e2m/connection_status')).text, '{"connected":true,"ocpp_version":"1.6"}');
  const registration = await peer.message('/e2m/boot_notification_response');
  t.match(JSON.parse(registration.text), { status: 'Accepted', interval: 300 });
  await get('boot_notification_response', 2);
  t.equal((await peer.message('everest_api/me/2')).text, registration.text);
  module.reset('Soft');
  t.equal((await peer.message('/e2m/reset')).text, '{"scheduled":false,"type":"Soft"}');
  t.equal((await peer.message('/e2m/connection_status', 1)).text, '{"connected":false,"ocpp_version":"1.6"}');
});

void t.test('evse_security: a kind of certificate each, as it is now, and silence', async (t) => {
  let statuses: { CSMS?: string; V2G?: string } = { CSMS: 'Accepted', V2G: 'NotFound' };
  const { module, root } = station(t, { certificates: () => statuses });
  const peer = await foreigner(t, root);
  await module.start();
  const ask = (certificate_type: string, n: number) =>
    peer.say(
      `${root}everest_api/1/evse_security_consumer/evse_security_consumer/m2e/get_leaf_certificate_info`,
      JSON.stringify({
        headers: { replyTo: `everest_api/me/${n}` },
        payload: { certificate_type, encoding: 'PEM', include_ocsp: false },
      }),
    );
  await ask('CSMS', 1);
  t.match(JSON.parse((await peer.message('everest_api/me/1')).text), { status: 'Accepted', info: { key: String } });
  await ask('V2G', 2);
  t.same(JSON.parse((await peer.message('everest_api/me/2')).text), { status: 'NotFound' });
  statuses = { V2G: 'Accepted' };
  await ask('CSMS', 3);
  await ask('V2G', 4);
  t.match(JSON.parse((await peer.message('everest_api/me/4')).text), { status: 'Accepted' });
  t.same(peer.on('everest_api/me/3'), []);
});
