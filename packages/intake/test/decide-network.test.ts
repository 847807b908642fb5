import t from 'tap';
import { decideNetwork } from '../src/decide-network.js';
import { profile } from './fixtures.js';

void t.test('configure_network', async (t) => {
  const wired = profile({ interfaces: { Wired0: 'eth0', Wireless0: 'wwan0' } });
  const ask = (more: object, of = wired) => decideNetwork({ request_id: 1, interface: 'Wired0', ...more }, of);
  t.match(ask({}), { reply: { status: 'Processing' }, interfaceName: 'eth0' });
  t.match(ask({ interface: 'Any' }), { interfaceName: 'eth0' });
  t.match(ask({ interface_name: 'wwan0' }), { interfaceName: 'wwan0' }, 'the name wins over the class');
  t.match(ask({ interface: 'Wired3' }), { reply: { status: 'Rejected' }, reason: 'interface_unknown' });
  t.match(ask({ interface_name: 'lo' }), { reply: { status: 'Rejected' } });
  t.match(ask({ interface_name: '' }), { interfaceName: 'eth0' }, 'no name is no name');
  t.match(ask({}, profile()), { reply: { status: 'NotSupported' } });
  for (const interfaces of [{}, { Wired0: '' }]) {
    const none = profile({ interfaces });
    for (const more of [{}, { interface: 'Any' }, { interface: 'Wireless1' }, { interface_name: 'eth0' }])
      t.match(
        ask(more, none),
        { reply: { status: 'NotSupported' }, reason: 'not_supported' },
        'a station without interfaces connects as it would without asking',
      );
  }
  const real = { transport: 'local', state_dir: '/s', profile: 'command' };
  const command = { install: ['/i'], evidence: ['/e'] };
  for (const [driver, status] of [
    [{ ...real, command }, 'NotSupported'],
    [{ ...real, command: { ...command, network: ['/n', '{interface}'] } }, 'Processing'],
    [{ ...real, profile: 'rauc' }, 'NotSupported'],
    [{ ...real, profile: 'rauc', network_manager: {} }, 'Processing'],
    [{ ...real, command, network_manager: {} }, 'Processing'],
    [{ package: '@maker/driver' }, 'Processing'],
  ] as const) {
    const station = profile({ driver, interfaces: { Wired0: 'eth0' } });
    t.match(ask({}, station), { reply: { status } }, JSON.stringify(driver));
  }
  const half = profile({ interfaces: { Wired0: '', Wireless0: 'wwan0' } });
  t.match(ask({}, half), { reply: { status: 'Rejected' } }, 'the station has another one');
  t.match(ask({ interface: 'Any' }, half), { interfaceName: 'wwan0' });
  t.match(decideNetwork({ request_id: 1, interface: 'Wired0' }, undefined), { reply: { status: 'NotSupported' } });
});
