/** Whether a time is worth setting. Pure. OCPP ignores the answer; the clock of a charger with it does not. */

/** No station was made before, and none will run Khumbu after. */
const EARLIEST = Date.UTC(2024, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);

/** The time in milliseconds since 1970, or `undefined` for one that no CSMS in its right mind would tell. */
export function decideSystemTime(text: string): number | undefined {
  const value = Date.parse(text);
  return Number.isFinite(value) && value >= EARLIEST && value < LATEST ? value : undefined;
}
