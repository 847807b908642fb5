/** Logs as stations write them, with every kind of secret: what must not come out of them, and what must. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const KEY = 'a key of a depot that is for tests';
const GOLDEN = join(import.meta.dirname, '../../test/golden');

/** By file: what must not come out, by the rule that takes it out; and what must. */
export const FILES: Record<string, { secrets: Record<string, string[]>; kept: string[] }> = {
  'ocpp-1.6.log': {
    secrets: {
      rfid_tokens: [
        '04A2B3C4D5E680',
        'FLEET-PARENT-7',
        'app-user-4711',
        'LOCALTAG01',
        'LOCALTAG02',
        'LOCALPARENT',
        'RESERVE-0815',
        'RESERVE-PARENT',
        'DEKHUC00000042X',
        '0B16C2D3E4F500',
      ],
      credentials: [
        '4f43415f4f4354545f61646d696e5f74',
        '6c65616b65642d627920612073746174',
        'Umkh%40mbu!7',
        'ska-PW-99',
        'AKIAGOLDENEXAMPLE',
        'f0e1d2c3b4a5968778695a4b3c2d1e0f',
        'hunter2hunter',
      ],
      certificates: ['MIIBGOLDENSIGNER', 'JCUmJygp', 'MIICGOLDENCONTRACT'],
      exi_messages: ['gJgCEXIREQUESTgolden'],
    },
    kept: [
      '"key": "HeartbeatInterval",\n        "value": "300"',
      '"key": "AuthorizationKey"',
      '"key":"MeterValueSampleInterval","readonly":false,"value":"60"',
      '"key":"ConnectionTimeOut","readonly":false,"value":"120"',
      'ftp://diag:[secret:',
      '@files.depot.example/logs/',
      '"meterStart":1520',
      '"value":"1534"',
      'keepnamehash',
      '-----BEGIN CERTIFICATE-----',
      'MEUCIQkeepthis==',
      'Khumbu Makers',
    ],
  },
  'ocpp-2.0.1.log': {
    secrets: {
      rfid_tokens: [
        '04112233445566',
        'ADDITIONAL-99',
        'GROUP-TOKEN-1',
        'DE-KHU-C00000077-Y',
        'T0NNRnx7IklEIjoiMDQx',
        'readertoken123',
        'PRETTYTOKEN10',
      ],
      mac_addresses: ['00e04c680a01'],
      credentials: [
        '8aG2.basic-auth-Pass{word}',
        'Ws5-Secret',
        'np-basic-secret-1',
        'apn-secret-2',
        '4711',
        'vpn-user-3',
        'vpn-secret-4',
        'vpn-shared-5',
        'reported-secret-6',
        'Sftp-secret-7',
        'pretty-secret-8',
      ],
      certificates: ['MIIDGOLDENEMAIDLEAF', 'MIIEGOLDENEMAIDSUB', 'MIIFGOLDENSIGNEDCHAIN'],
      exi_messages: ['gJgCEXI2REQUEST', 'gJgCEXI2RESPONSE'],
    },
    kept: [
      '"type":"eMAID"',
      'keepkeyhash',
      'tx-keep-1',
      '"attributeValue":"900"',
      '"name":"BasicAuthPassword"',
      'wss://cs:[secret:',
      'vpn.depot.example',
      '"actualValue":"Occupied"',
      'Keep This Organization',
      'keep-this-value-9',
      'YAK60-0007',
    ],
  },
  'everest.log': {
    secrets: {
      rfid_tokens: ['04DEADBEEF1180', 'evparent12', '9C1185A5C5E9FC54', 'CAFEBABE13', 'app-14-tag', 'DEKHUC00000019Z'],
      mac_addresses: ['00:E0:4C:68:0A:15', '00e04c680a16', 'fe80::2e0:4cff:fe68:a17', '00-e0-4c-68-0a-18'],
      credentials: [
        'eWFrLTc6c2VjcmV0LWhlYWRlci0yMA==',
        'bearer-21',
        'digest-secret-22',
        'bW9yZTpzZWNyZXQtMjM=',
        'gsm-secret-24',
        'wifi secret 25',
        'opt-secret-26',
        'py-secret-27',
        'query-secret-28',
        'GOLDEN29',
      ],
      certificates: [
        'MIIBplainGOLDENleaf30',
        'ICEiIyQl',
        'lastGOLDENline31',
        'GOLDENprivate32',
        'GOLDENtail33',
        'MIICGOLDENder34',
      ],
    },
    kept: [
      'USED_TO_START_TRANSACTION',
      'in AuthorizationList',
      'id_token could not be validated by any validator',
      'GET /ocpp/yak-7 HTTP/1.1',
      'Authorization: Basic [secret:',
      'ssid="depot"',
      "'user': 'admin'",
      '&station=yak-7',
      'Failed password for invalid user admin from 10.1.2.3',
      '-----END CERTIFICATE-----',
      'eth0: Link is Up - 100Mbps/Full',
      'fingerprint 12:34:56:78:9a:bc:de:f0:12:34:56:78:9a:bc:de:f0:12:34:56:78',
      'charging with 16.0 A',
    ],
  },
  'session.log': {
    secrets: {
      rfid_tokens: ['DEKHUC00000036W', 'DEKHUC00000040V', 'HTMLTAG44'],
      mac_addresses: ['00E04C680B35', '00E04C680B41'],
      certificates: ['MIIDGOLDENxml37', 'bG9uZ0dPTERFTmtleTM4', 'ZGhHT0xERU5wdWIzOQ'],
      exi_messages: ['00e04c680b42', 'gJgCAAAAAAAAAAAR0BgGOLDEN43'],
    },
    kept: [
      'V2G SessionSetupReq',
      '<SessionSetupReq>',
      '&lt;EVCCID&gt;',
      '"connectorId": 1',
      'Session logging stopped.',
    ],
  },
};

export const goldenLog = (file: string): Promise<Buffer> => readFile(join(GOLDEN, file));

export const SECRETS: readonly string[] = Object.values(FILES).flatMap(({ secrets }) => Object.values(secrets).flat());

export const has = (text: string, word: string): boolean => text.toLowerCase().includes(word.toLowerCase());

/** In pieces that cut everything. */
export async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
