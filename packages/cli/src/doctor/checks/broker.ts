/**
 * The broker. It is asked without a user: where client ids are bound to users, a second client of the gateways' user would end
 * their session.
 */
import { describeError } from '@khumbu/shared/runtime/errors';
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { BrokerFacts, Sight } from '../sight.js';

const { ok, warning, wrong } = about('broker');
/** What a gateway takes, and stations send at most. */
const LARGEST_PACKET = 384 * 1024;

/** Pure. */
function judgeBroker(facts: BrokerFacts, hasUser: boolean): Finding[] {
  const { protocol, isOpen, reason, maximumQoS, maximumPacketSize } = facts;
  if (protocol === 'none')
    return [wrong(`the broker is away: ${reason}`, 'start it (systemctl start mosquitto), or correct MQTT_URL')];
  if (protocol === 'MQTT 3.1.1')
    return [wrong('the broker speaks MQTT 3.1.1, and not MQTT 5', 'use one that does, as mosquitto 2 or newer')];
  const findings = [];
  if (!isOpen && !hasUser)
    findings.push(wrong('the broker wants a user, and none is set', 'set MQTT_USERNAME and MQTT_PASSWORD_FILE'));
  if (maximumQoS !== undefined && maximumQoS < 2)
    findings.push(wrong(`the broker takes QoS ${maximumQoS} at most`, 'EVerest publishes with QoS 2: allow it there'));
  if (maximumPacketSize !== undefined && maximumPacketSize < LARGEST_PACKET)
    findings.push(
      warning(
        `the broker takes packets of ${maximumPacketSize} bytes at most`,
        'max_packet_size 393216 in mosquitto.conf',
      ),
    );
  if (isOpen)
    findings.push(
      warning(
        'the broker takes clients without a user',
        'docs/deployment.md: users, and an ACL that binds stations to topics',
      ),
    );
  return findings.length > 0 ? findings : [ok('MQTT 5, for users alone; whether ours is right, a gateway says')];
}

export async function lookAtBroker({ gateway }: Place, sight: Sight): Promise<Finding[]> {
  if (!gateway) return [];
  try {
    const ca = gateway.MQTT_CA_FILE === undefined ? undefined : sight.read(gateway.MQTT_CA_FILE).toString('utf8');
    return judgeBroker(await sight.broker(gateway.MQTT_URL, ca), gateway.MQTT_USERNAME !== undefined);
  } catch (error) {
    return [wrong(`the broker cannot be asked: ${describeError(error)}`, 'correct MQTT_URL and MQTT_CA_FILE')];
  }
}
