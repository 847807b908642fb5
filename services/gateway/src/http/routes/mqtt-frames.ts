import { MqttFramesSchema } from '@khumbu/rest-contract/mqtt-frames';
import { StationParams } from '@khumbu/rest-contract/parameters';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { FrameAsker } from '../../frames/ask-frames.js';
import { ref } from '../contract-schemas.js';
import { type Inventory, reading } from '../inventory.js';
import { Problem } from '../problems.js';
import { answers, describeRoute, type RestApp } from '../routing.js';
import type { Audit } from '../submit-operation.js';

export interface MqttFrameRouteDeps {
  readonly inventory: Inventory;
  readonly frames: FrameAsker;
  readonly audit: Audit;
}

const DESCRIPTION =
  'What the station said, and what it was told: the last minutes of MQTT, from the memory of the gateway that leads. Any gateway may be asked. Values of members that speak of passwords, PINs, keys and tokens are taken out, and what is taken out of logs. Heartbeats and communication checks are one frame each, with a count. 503 READS_BUSY while no gateway leads. Safe to repeat.';

/** `/v1/stations/{stationId}/mqtt-frames`: frames of the last minutes. */
export function mqttFrameRoutes(app: RestApp, { inventory, frames, audit }: MqttFrameRouteDeps): void {
  const ask = reading((station: string) => frames.ask(station));

  app.get(
    '/stations/:stationId/mqtt-frames',
    {
      ...describeRoute({
        id: 'getMqttFrames',
        tag: 'stations',
        scope: 'operate',
        summary: 'The last MQTT frames of a station',
        description: DESCRIPTION,
        problems: ['STATION_UNKNOWN'],
        success: answers(200, 'Its frames, oldest first.', ref(MqttFramesSchema)),
        takes: { params: StationParams },
      }),
      // It waits for another gateway, and other reads do not wait for it.
      config: { scope: 'operate', isUnqueued: true },
    },
    async (request) => {
      const { stationId } = request.params;
      await inventory.requireStation(stationId);
      try {
        const view = await ask(stationId);
        audit(request, 'mqtt frames', stationId, { outcome: 'shown', frames: view.frames.length });
        return view;
      } catch (error) {
        if (hasCode(error, 'NO_ANSWER') || hasCode(error, 'TOO_MANY'))
          throw new Problem('READS_BUSY', (error as Error).message, {}, { cause: error });
        throw error;
      }
    },
  );
}
