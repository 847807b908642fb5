import {
  FIRMWARE_UPDATE_STATES,
  type FirmwareUpdateState,
  isFinalUpdateState,
} from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import t from 'tap';
import { type CertificateVerdict, decideUpdate } from '../src/decide-update.js';
import { locations, profile, UPDATE, update } from './fixtures.js';

const signedRequest = { ...UPDATE, signing_certificate: 'PEM', signature: 'c2ln' };
const badVerdict: CertificateVerdict = { ok: false, response: 'InvalidCertificate', reason: 'untrusted' };
const revoked: CertificateVerdict = { ok: false, response: 'RevokedCertificate', reason: 'revoked' };

void t.test('update_firmware: the answer for each state of the station’s update', async (t) => {
  const answers: Partial<Record<FirmwareUpdateState, string>> = {
    Offered: 'AcceptedCanceled',
    Accepted: 'AcceptedCanceled',
    DownloadScheduled: 'AcceptedCanceled',
    Downloading: 'AcceptedCanceled',
    Downloaded: 'AcceptedCanceled',
    SignatureVerified: 'AcceptedCanceled',
    InstallScheduled: 'AcceptedCanceled',
    Installing: 'Rejected',
    InstallRebooting: 'Rejected',
  };
  const situation = { profile: profile(), certificate: undefined, locations };
  t.same(decideUpdate(UPDATE, { ...situation, current: undefined }), { reply: 'Accepted', signed: false });
  for (const state of FIRMWARE_UPDATE_STATES) {
    const final = isFinalUpdateState(state);
    const current = update(state, final ? { endedAt: 2000 } : {});
    const decision = decideUpdate(UPDATE, { ...situation, current });
    t.equal(decision.reply, final ? 'Accepted' : answers[state], state);
    if (decision.reply === 'AcceptedCanceled') t.equal(decision.replaces, current);
    if (decision.reply === 'Rejected') t.equal(decision.reason, 'installing');
  }
  const held = update('InstallationFailed', { endedAt: 2000, slotHeld: true });
  t.match(decideUpdate(UPDATE, { ...situation, current: held }), { reply: 'Rejected', reason: 'installing' });
});

void t.test('update_firmware: what policy and certificates refuse', async (t) => {
  const strict = profile({ require_signature: true });
  const rows: [string, FirmwareUpdateRequest, object, object][] = [
    ['unconfigured', UPDATE, { profile: undefined }, { reply: 'Rejected', reason: 'station_not_configured' }],
    ['unsigned where allowed', UPDATE, {}, { reply: 'Accepted', signed: false }],
    ['unsigned where not', UPDATE, { profile: strict }, { reply: 'Rejected', reason: 'signature_required' }],
    [
      'empty members are unsigned',
      { ...UPDATE, signature: '', signing_certificate: '' },
      { profile: strict },
      { reply: 'Rejected', reason: 'signature_required' },
    ],
    ['signature alone', { ...UPDATE, signature: 'x' }, {}, { reply: 'Rejected', reason: 'signature_incomplete' }],
    [
      'certificate alone',
      { ...UPDATE, signing_certificate: 'x', signature: '' },
      { certificate: { ok: true } },
      { reply: 'Rejected', reason: 'signature_incomplete' },
    ],
    [
      'signed, good',
      signedRequest,
      { profile: strict, certificate: { ok: true } },
      { reply: 'Accepted', signed: true },
    ],
    [
      'signed, id -1',
      { ...signedRequest, request_id: -1 },
      { certificate: { ok: true } },
      { reply: 'Accepted', signed: true },
    ],
    ['signed, bad', signedRequest, { certificate: badVerdict }, { reply: 'InvalidCertificate', reason: 'untrusted' }],
    ['signed, revoked', signedRequest, { certificate: revoked }, { reply: 'RevokedCertificate', reason: 'revoked' }],
    [
      'bad certificate while installing',
      signedRequest,
      { certificate: badVerdict, current: update('Installing') },
      { reply: 'InvalidCertificate' },
    ],
    ['scheme', { ...UPDATE, location: 'file:///etc/passwd' }, {}, { reply: 'Rejected', reason: /^LOCATION_/ }],
    [
      'metadata service',
      { ...UPDATE, location: 'http://169.254.169.254/x' },
      {},
      { reply: 'Rejected', reason: 'LOCATION_ADDRESS_FORBIDDEN' },
    ],
    [
      'loopback',
      { ...UPDATE, location: 'http://127.0.0.1/x' },
      {},
      { reply: 'Rejected', reason: 'LOCATION_ADDRESS_FORBIDDEN' },
    ],
    ['no URL', { ...UPDATE, location: 'image.bin' }, {}, { reply: 'Rejected', reason: /^LOCATION_/ }],
  ];
  for (const [name, request, situation, expected] of rows) {
    const given = { profile: profile(), current: undefined, certificate: undefined, locations, ...situation };
    t.match(decideUpdate(request, given), expected, name);
  }
});
