/** What programs say when they fail, and traces of scripts: which words are secrets, and which are none. */
import { REDACTION_RULES } from '@khumbu/shared/stations/redact-rules';
import t from 'tap';
import { createRedactor } from '../src/redactor.js';
import { KEY } from './golden-logs.js';

const shown = (text: string): string => createRedactor({ rules: REDACTION_RULES, key: KEY }).text(text);
const PSEUDONYM = /\[\w+:[0-9a-f]{10}\]/;

void t.test('ordinary words stay', (t) => {
  for (const text of [
    'Basic authentication failed',
    'HTTP/1.1 401: basic Authentication required',
    'WWW-Authenticate says Bearer authorization.',
    'X509v3 Basic Constraints: critical',
    'modem: bearer establishment refused, bearer disconnected',
    'Authorization: Basic authentication failed',
    'Error: failed to modify 802-11-wireless-security.psk: property is invalid',
    '802-11-wireless-security.psk: property is missing',
    'gsm.pin property is invalid',
    '802-1x.password is not set',
    'sudo: khumbu : TTY=pts/0 ; PWD=/home/khumbu ; USER=root ; COMMAND=/usr/bin/rauc install x',
    'PWD=/',
    'PWD=/opt/charger ; USER=root',
    'could not connect to http://depot:8080.',
    'no answer of tcp://10.0.0.1:1883)',
    'bad token 2026-01-15 12:00:03 near line 4',
    'tag: 2026-01-15',
    'card 2026-01-15T12:00:03Z gone',
    'image tag 20260115 not found',
    'firmware tag: 20260115-123000',
    'slot holds 26-01-15-12-30-00',
    'backup-26-01-15-12-30-00.tar and backup_26-01-15-12-30-00.tar',
    'SHA256:00:e0:4c:68:0a:15:00:e0:4c:68:0a:15',
    'fingerprint-00-e0-4c-68-0a-15-16-17',
    'reached 2001:db8:00:11:22:33:44:55',
    'DHCP cookie: 0x63825363',
    'cookie: none',
    'curl: (7) Failed to connect, see curl -u for users',
    'systemctl --user status khumbu:1000',
    'a private-key is wanted',
  ])
    t.equal(shown(text), text);
  t.end();
});

void t.test('what looks nearly like them goes', (t) => {
  for (const [text, secret] of [
    ['Basic YXV0aGVudGljYXRpb24=', 'YXV0aGVudGljYXRpb24='],
    ['bearer correcthorsebatterystaple', 'correcthorse'],
    ['bearer mysecretcombination', 'mysecretcombination'],
    ['Authorization: Token mysecretcombination', 'mysecretcombination'],
    ['Authorization: Basic c2hvcnQ=', 'c2hvcnQ'],
    ['psk: property123', 'property123'],
    ['PWD=/9x+secret', '9x+secret'],
    ['pwd=/home/of-a-secret', 'of-a-secret'],
    ['Pwd=/home/of-a-secret', 'of-a-secret'],
    ['ftp://diag:80801x.', '80801x'],
    ['token 20260115', '20260115'],
    ['card 20260115', '20260115'],
    ['tag 20260115', '20260115'],
    ['token 2026-99-99-01', '2026-99-99'],
    ['car 26-01-15-12-61-00', '26-01-15-12-61-00'],
    ['MAC 26-01-15-12-30-00', '26-01-15-12-30-00'],
    ['evcc address: 26-01-15-12-30-00', '26-01-15-12-30-00'],
    ['06:01:15:12:30:00 came', '06:01:15:12:30:00'],
    ['left pev-00:e0:4c:68:0a:15', '00:e0:4c:68:0a:15'],
    ['capture_00:E0:4C:68:0A:15_1.pcap', '00:E0:4C:68:0A:15'],
    ['EVCC:00:E0:4C:68:0A:15', '00:E0:4C:68:0A:15'],
    ['slac_00-e0-4c-68-0a-15', '00-e0-4c-68-0a-15'],
  ] as const) {
    const out = shown(text);
    t.notMatch(out, secret, text);
    t.match(out, PSEUDONYM, text);
  }
  t.end();
});

void t.test('headers, settings with hyphens, and traces of scripts', (t) => {
  for (const [text, kept] of [
    ['X-Api-Key: HUSH', 'X-Api-Key: '],
    ['> x-auth-token: HUSH', 'x-auth-token: '],
    ["-H 'X-Auth-Token: HUSH' https://depot.example", "' https://depot.example"],
    ['X-Vault-Token: HUSH', 'X-Vault-Token: '],
    ['PRIVATE-TOKEN: HUSH', 'PRIVATE-TOKEN: '],
    ['{"X-Api-Key":"HUSH","a":1}', '","a":1}'],
    ['Cookie: session=HUSH; other=HUSH', 'Cookie: '],
    ['< Set-Cookie: id=HUSH; Path=/; HttpOnly', 'Set-Cookie: '],
    ['{"Set-Cookie":"id=HUSH; Path=/","a":1}', '","a":1}'],
    ["curl --cookie 'id=HUSH' https://depot.example", "' https://depot.example"],
    ['private-key=HUSH', 'private-key='],
    ['private-key-password=HUSH', 'private-key-password='],
    ['pre-shared-key=HUSH', 'pre-shared-key='],
    ['pre_shared_key: HUSH', 'pre_shared_key: '],
    ['PresharedKey = HUSH', 'PresharedKey = '],
    ['client --auth-token HUSH now', ' now'],
    ['+ curl -u diag:HUSH https://depot.example', '+ curl -u diag:'],
    ['+ curl -fsSLu diag:HUSH https://depot.example', 'curl -fsSLu diag:'],
    ['+ curl -udiag:HUSH https://depot.example', 'curl -udiag:'],
    ["+ /usr/bin/curl -sS -u 'diag:HUSH with HUSH' https://depot.example", "' https://depot.example"],
    ['curl --user diag:HUSH -T x', '--user diag:'],
    ['curl --user=diag:HUSH -T x', ' -T x'],
    ['curl -x http://proxy --proxy-user "diag:HUSH" x', '--proxy-user "diag:'],
    ['curl -U diag:HUSH x', '-U diag:'],
    ['curl -u sk_live_HUSHHUSHHUSHHUSH: https://depot.example', ': https://depot.example'],
    ['+ sshpass -p HUSH ssh root@10.0.0.1', ' ssh root@10.0.0.1'],
    ['+ sshpass -pHUSH ssh root@10.0.0.1', 'sshpass -p'],
    ["sshpass -v -p 'HUSH HUSH' ssh x", "' ssh x"],
    ['SSHPASS=HUSH sshpass -e ssh x', ' sshpass -e ssh x'],
    ['+ nmcli connection modify wwan gsm.password HUSH', 'gsm.password '],
    ['+ nmcli c m wwan gsm.apn internet gsm.pin HUSH gsm.number 1', ' gsm.number 1'],
    ["+ nmcli c m wlan 802-11-wireless-security.psk 'HUSH HUSH' ipv4.method auto", "' ipv4.method auto"],
    ['+ nmcli c m wlan wifi-sec.psk HUSH', 'wifi-sec.psk '],
    ['802-11-wireless-security.psk:           HUSH', 'psk:           '],
    ['nmcli c m x 802-1x.private-key-password HUSH 802-1x.eap tls', ' 802-1x.eap tls'],
    ['nmcli c m x 802-1x.phase2-private-key-password HUSH', 'phase2-private-key-password '],
    ['nmcli device wifi connect depot password HUSH', 'wifi connect depot password '],
    ['nmcli c m wg wireguard.private-key HUSH', 'wireguard.private-key '],
    ['wireguard.private-key:   HUSH', 'wireguard.private-key:   '],
  ] as const) {
    const out = shown(text);
    t.notMatch(out, 'HUSH', text);
    t.match(out, kept, text);
    t.equal(shown(out), out, `${text}, again`);
  }
  t.equal(shown('gsm.pin:             --'), 'gsm.pin:             --', 'nothing is set');
  t.end();
});

void t.test('a line of PEM that other words are glued to', (t) => {
  const body = `${'QUJDx'.repeat(12)}QUJD`;
  for (const glued of [`${body} curl: (7) failed`, `${body}: failed`, `log: ${body} (7)`]) {
    const lines = ['-----BEGIN PRIVATE KEY-----', body, glued, body, '-----END PRIVATE KEY-----', 'done'];
    const redactor = createRedactor({ rules: REDACTION_RULES, key: KEY });
    for (const out of [shown(lines.join('\n')), lines.map((line) => redactor.line(line)).join('\n')]) {
      t.notMatch(out, 'QUJD', glued);
      t.match(out, 'done');
    }
  }
  t.end();
});

void t.test('no line makes it take long', (t) => {
  for (const piece of [
    'curl -u ',
    'curl -',
    'curl --user a:',
    "curl -u 'a:",
    'sshpass -v ',
    'gsm.password ',
    'gsm.pin:    ',
    'x-token',
    '-token-',
    'cookie: ',
    'cookie: a=',
    'basic a',
    'bearer aaaaaaaaaaaation ',
    'image tag ',
    'token 2026-01-15 ',
    'PWD=/',
    'psk=',
    'gsm.pin:',
    "gsm.pin='",
    'sshpass -p',
    'curl -u a:',
    '26-01-15-12-30-00 ',
    '[rfid:',
  ]) {
    const begin = Date.now();
    shown(piece.repeat(Math.ceil(120_000 / piece.length)));
    t.ok(Date.now() - begin < 5000, piece);
  }
  t.end();
});
