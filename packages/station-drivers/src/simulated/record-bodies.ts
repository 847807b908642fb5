/** What the made-up log records of a simulated charger say. */
import { createHash } from 'node:crypto';
import type { LogType } from '../port.js';

type Draw = (below: number) => number;
type Body = (draw: Draw) => string;

const bodies: Readonly<Record<LogType, readonly Body[]>> = {
  DiagnosticsLog: [
    (n) => `evse_manager_${1 + n(2)}: [INFO] charging with ${n(32)}.${n(10)} A, ${n(22_000)} Wh so far`,
    (n) => `powermeter_${1 + n(2)}: [DEBG] U ${226 + n(9)}.${n(10)} V, f ${49 + n(2)}.${n(100)} Hz`,
    (n) => `iso15118_car: [INFO] SLAC: link up with EVCC ${hex(n, 12)}`,
    (n) => `auth: [INFO] token ${hex(n, 8)} accepted for connector ${1 + n(2)}`,
    (n) => `energy_manager: [INFO] limit ${6 + n(26)} A for ${1 + n(4)} nodes`,
    (n) => `kernel: fec 30be0000.ethernet eth0: Link is Up - 100Mbps/Full, flow ${n(4)}`,
    (n) => `kernel: mmc0: tuning done, phase ${n(64)}, clock ${50 + n(150)} MHz`,
    (n) => `ocpp: > [2,"${hex(n, 8)}","Heartbeat",{}]`,
    (n) => `ocpp: > [2,"${hex(n, 8)}","MeterValues",{"connectorId":${1 + n(2)}}]`,
    (n) => `ocpp: < [3,"${hex(n, 8)}",{"status":"Accepted"}]`,
  ],
  SecurityLog: [
    (n) => `sshd: Accepted publickey for service from 10.${n(256)}.${n(256)}.${1 + n(254)} port ${20_000 + n(40_000)}`,
    (n) => `sshd: Failed password for invalid user admin from 10.${n(256)}.${n(256)}.${1 + n(254)}`,
    (n) => `security: CSMS certificate ${hex(n, 16)} verified, ${n(800)} days left`,
    (n) => `security: V2G certificate ${hex(n, 16)} renewed`,
    (n) => `security: firmware signature ${hex(n, 16)} checked`,
    (n) => `security: SettingSystemTime by ${n(900)} ms`,
    (n) => `ocpp: > [2,"${hex(n, 8)}","SecurityEventNotification",{"type":"StartupOfTheDevice"}]`,
  ],
};

const hex = (draw: Draw, digits: number): string =>
  Array.from({ length: digits }, () => draw(16).toString(16)).join('');

/** The text of one record: exactly `size` ASCII characters, the same for the same seed and index. */
export function recordBody(type: LogType, seed: Buffer, index: number, size: number): string {
  const draw = drawFrom(seed, index);
  const table = bodies[type];
  const text = table[draw(table.length)]?.(draw) ?? '';
  if (text.length >= size) return text.slice(0, size);
  // Filled up with what compresses badly, as traces and ids do.
  return `${text} trace=${filler(seed, index, size)}`.slice(0, size);
}

/** mulberry32 */
function drawFrom(seed: Buffer, index: number): Draw {
  let state = (seed.readUInt32LE(0) ^ Math.imul(index + 1, 0x9e3779b9)) >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function filler(seed: Buffer, index: number, size: number): string {
  const parts: string[] = [];
  for (let length = 0, part = 0; length < size; length += 64, part++)
    parts.push(createHash('sha256').update(seed).update(`${index} ${part}`).digest('hex'));
  return parts.join('');
}
