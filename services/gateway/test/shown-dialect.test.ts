import t from 'tap';
import { dialectShownBy } from '../src/mqtt/inbound/shown-dialect.js';

void t.test('what a request shows of the OCPP version', async (t) => {
  t.equal(dialectShownBy('update_firmware', { request_id: -1 }), 'ocpp1.6');
  t.equal(dialectShownBy('update_firmware', { request_id: 4 }), undefined);
  t.equal(dialectShownBy('upload_logs', {}), 'ocpp1.6');
  t.equal(dialectShownBy('upload_logs', { request_id: 0 }), undefined);
  t.equal(dialectShownBy('is_reset_allowed', 'NotSpecified'), 'ocpp2.x');
  t.equal(dialectShownBy('is_reset_allowed', 'Soft'), 'ocpp1.6');
  t.equal(dialectShownBy('get_boot_reason', undefined), undefined);
});
