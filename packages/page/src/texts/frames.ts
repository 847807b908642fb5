/** Texts of MQTT frames: English. */
import type { MqttFrame } from '@khumbu/client/generated/rest-api';

export const frameTexts = {
  heading: 'MQTT',
  lead: 'What the station said and what it was told in the last minutes, without secrets.',
  show: 'Show MQTT frames',
  again: 'Read again',
  reading: 'They are read ...',
  only: 'Only frames with',
  since: (time: string) => `Frames from before ${time} may be missing.`,
  count: (shown: number, all: number) => (shown === all ? `${all} frames` : `${shown} of ${all} frames`),
  none: 'There is no frame of the station.',
  list: 'Frames',
  directions: { from_station: 'from the station', to_station: 'to the station' } satisfies Record<
    MqttFrame['direction'],
    string
  >,
  times: (count: number, since: string) => `${count} times since ${since}`,
  repeated: 'delivered again',
  unheard: 'nobody listened',
  cut: 'there is more of it',
};
