/** TCP ports in a row, as servers of FTP want them for their data connections. */
import { freePort, whyPortIsTaken } from '@khumbu/shared/runtime/free-port';

const ROUNDS = 50;

/**
 * `count` ports one after the other that are free at each of the addresses. Not reserved: use them soon. Rejects when none are found, and
 * at once where an address cannot be listened at.
 */
export async function freePorts(count: number, addresses: readonly string[] = ['127.0.0.1']): Promise<number[]> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const first = await freePort(addresses[0]);
    const ports = Array.from({ length: count }, (_none, index) => first + index);
    const looks = ports.flatMap((port) => addresses.map((address) => whyPortIsTaken(port, address)));
    const reasons = (await Promise.all(looks)).filter((reason) => reason !== undefined);
    if (reasons.length === 0) return ports;
    const other = reasons.find((reason) => reason !== 'EADDRINUSE');
    if (other !== undefined) throw new Error(`cannot listen at ${addresses.join(' and ')}: ${other}`);
  }
  throw new Error(`no ${count} free ports in a row were found at ${addresses.join(' and ')}`);
}
