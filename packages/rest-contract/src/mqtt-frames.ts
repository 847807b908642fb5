/** The last MQTT frames of a station, as REST shows them. */
import { type Static, Type } from 'typebox';
import { count, optionalTime, text, time } from './members.js';

export const MqttFrameSchema = Type.Object(
  {
    at: time('When it came or went; of several that say the same, the last one.'),
    count: Type.Optional(
      Type.Integer({ minimum: 2, description: 'How many of them there were, of heartbeats and communication checks.' }),
    ),
    firstAt: optionalTime('When the first of them came or went.'),
    direction: Type.Enum(['from_station', 'to_station'], { description: 'Who sent it.' }),
    topic: text('Its topic.', { examples: ['everest_api/1/system/cs-1/e2m/update_firmware'] }),
    qos: Type.Integer({ minimum: 0, maximum: 2, description: 'Quality of service it was sent with.' }),
    sizeBytes: count('Size of its payload.'),
    payload: text(
      'Its payload without secrets: values of members that speak of passwords, PINs, keys, tokens are taken out, of locations user, password, query and fragment, and what is taken out of logs. JSON without white space; what is none as the text it is.',
    ),
    cut: Type.Boolean({ description: 'true: there was more of it than is shown.' }),
    again: Type.Optional(Type.Boolean({ description: 'true: the broker delivered it again.' })),
    heard: Type.Optional(
      Type.Boolean({ description: 'Of one to the station. false: the broker said that nobody listens.' }),
    ),
  },
  { $id: 'MqttFrame', description: 'An MQTT frame from or to a station.' },
);
export type MqttFrameView = Static<typeof MqttFrameSchema>;

export const MqttFramesSchema = Type.Object(
  {
    stationId: text('The station.', { examples: ['cs-1'] }),
    since: time(
      'Before that frames may be missing. From then on the gateway that leads has listened without a break, and has dropped none of the station: later than the last one that had no room any more, and at most 15 minutes ago; the time of the answer while it has no connection to the broker.',
    ),
    frames: Type.Array(MqttFrameSchema, { description: 'Oldest first; 100 at most, of the last 15 minutes.' }),
  },
  { $id: 'MqttFrames', description: 'The last MQTT frames of a station.' },
);
export type MqttFramesView = Static<typeof MqttFramesSchema>;
