/** A charger of every profile: the one place that knows them all. */
import type { ChargerKind } from './charger.js';
import { commandCharger } from './command-charger.js';
import { raucCharger } from './rauc-charger.js';
import { swupdateCharger } from './swupdate-charger.js';

export const CHARGER_KINDS: readonly ChargerKind[] = [commandCharger, raucCharger, swupdateCharger];
