/** Interfaces by a real NetworkManager, in a network of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianFiles } from '@khumbu/test-support/debian-files';
import t from 'tap';

const run = promisify(execFile);
t.setTimeout(900_000);

const APART = ['--mount', '--net', '--pid', '--fork', '--mount-proc', 'sh', '-c'];
const mayUnshare = (await run('unshare', [...APART, 'true']).catch(() => undefined)) !== undefined;
const NEEDED =
  'network-manager libnm0 libndp0 libnewt0.52 libteamdctl0 libmm-glib0 libbluetooth3 libgudev-1.0-0 libjansson4 libpsl5 libcurl3-gnutls libslang2';
const files = mayUnshare ? await debianFiles(NEEDED.split(' ')) : 'namespaces cannot be made here';

const BUS = `<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>`;

const SETTINGS = `[main]
plugins=keyfile
auth-polkit=false
dns=none
rc-manager=unmanaged
no-auto-default=*
[keyfile]
path=/run/nm
unmanaged-devices=interface-name:peer*`;

/** eth0 has an address and a connection, eth1 no carrier, eth2 nobody who gives it an address. */
const STATION = `set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/dbus /run/nm /run/NetworkManager /var/lib/NetworkManager
printf '%s' "$BUS" >/run/bus.conf
printf '%s\\n' "$SETTINGS" >/run/nm.conf
ip link set lo up
for n in 0 1 2; do ip link add "eth$n" type veth peer name "peer$n"; done
ip link set peer0 up
ip link set peer2 up
dbus-daemon --config-file=/run/bus.conf --nofork --nopidfile 2>/dev/null &
tries=0
until [ -S /run/dbus/system_bus_socket ]; do tries=$((tries + 1)); [ "$tries" -lt 200 ]; sleep 0.1; done
"$@" NetworkManager --config=/run/nm.conf --config-dir=/run/none --no-daemon >/run/log 2>&1 &
until [ "$("$@" nmcli -t -f RUNNING general 2>/dev/null)" = running ]; do tries=$((tries + 1)); [ "$tries" -lt 400 ]; sleep 0.1; done
"$@" nmcli connection add type ethernet ifname eth0 con-name wired autoconnect no \\
  ipv4.method manual ipv4.addresses 10.1.1.2/24 ipv6.method disabled >/dev/null
exec "$NODE" "$CHILD" "$D" "$@"`;

interface Told {
  readonly what: string;
  readonly result: unknown;
  readonly state: string;
  readonly checkpoints: string;
  readonly connections: readonly string[];
}

async function tryInterfaces(dir: string, { path, libraries }: { path: string; libraries: string }) {
  const prefix = ['env', `LD_LIBRARY_PATH=${libraries}`, `PATH=${path}:/usr/sbin:/usr/bin:/sbin:/bin`];
  const child = new URL('./network-child.js', import.meta.url).pathname;
  const env = { ...process.env, BUS, SETTINGS, NODE: process.execPath, CHILD: child, D: dir };
  const { stdout } = await run('unshare', [...APART, STATION, 'sh', ...prefix], { env, timeout: 600_000 });
  const lines = stdout.trim().split('\n');
  return new Map(lines.map((line) => JSON.parse(line) as Told).map((told) => [told.what, told]));
}

await t.test('NetworkManager', { skip: typeof files === 'string' ? files : false }, async (t) => {
  if (typeof files === 'string') return;
  const told = await tryInterfaces(join(t.testdir({})), files);
  const none = { checkpoints: 'ao 0', connections: ['lo', 'wired'] };
  const failed = (message: RegExp) => ({ code: 'NETWORK_FAILED', message });
  for (const what of ['up', 'again'])
    t.match(told.get(what), { ...none, result: { interfaceAddress: 'eth0' }, state: /^100/ }, what);
  t.match(
    told.get('no carrier'),
    { ...none, result: failed(/eth1 did not come up.*taken back/), state: /^[23]0/ },
    'nothing is left',
  );
  t.match(told.get('no address'), { ...none, result: failed(/taken back/), state: /^30/ }, 'nor of one that began');
  t.match(told.get('unmanaged'), { ...none, result: failed(/does not manage peer0/) });
  t.match(told.get('unknown'), { ...none, result: failed(/no interface nowhere/) });
  t.match(told.get('apn'), { ...none, result: failed(/APN/), state: /^30/ });
  t.notMatch(JSON.stringify(told.get('apn')), /hush/);
  t.match(told.get('other checkpoint'), { result: failed(/nothing was changed/), state: /^30/ });
  t.match(told.get('unconfirmed'), { result: failed(/taken back/), state: /^100/, checkpoints: 'ao 1' });
  t.match(told.get('taken back'), { ...none, state: /^30/ }, 'by itself');
});
