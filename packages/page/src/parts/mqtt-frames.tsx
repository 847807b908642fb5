/** The last MQTT frames of a station, when somebody asks for them. */
import { answered } from '@khumbu/client/client';
import type { MqttFrame, MqttFrames } from '@khumbu/client/generated/rest-api';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { bytesText, timeText } from '../formats.js';
import { en } from '../texts.js';
import { problemText } from '../use-act.js';

function notesOf({ count, firstAt, again, heard, cut, sizeBytes }: MqttFrame): string {
  const texts = en.frames;
  const notes = [
    bytesText(sizeBytes),
    count === undefined ? undefined : texts.times(count, timeText(firstAt)),
    again ? texts.repeated : undefined,
    heard === false ? texts.unheard : undefined,
    cut ? texts.cut : undefined,
  ];
  return notes.filter((note) => note !== undefined).join(', ');
}

function FrameRow({ frame }: { readonly frame: MqttFrame }) {
  const { at, direction, topic, payload } = frame;
  return (
    <li class={direction}>
      <time dateTime={at}>{timeText(at)}</time> <b>{en.frames.directions[direction]}</b> {topic}{' '}
      <small>{notesOf(frame)}</small>
      <br />
      <code>{payload}</code>
    </li>
  );
}

const fits = ({ topic, payload }: MqttFrame, wanted: string): boolean =>
  `${topic} ${payload}`.toLowerCase().includes(wanted.toLowerCase());

function FrameList({ told }: { readonly told: MqttFrames }) {
  const [wanted, setWanted] = useState('');
  const texts = en.frames;
  const shown = told.frames.filter((frame) => fits(frame, wanted)).toReversed();
  return (
    <>
      <p class="filter">
        <label for="frames-only">{texts.only}</label>
        <input
          id="frames-only"
          type="search"
          value={wanted}
          onInput={(event) => setWanted(event.currentTarget.value)}
        />
        <small role="status">
          {texts.count(shown.length, told.frames.length)} {texts.since(timeText(told.since))}
        </small>
      </p>
      {told.frames.length === 0 ? <p>{texts.none}</p> : null}
      {shown.length === 0 ? null : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and a keyboard must reach it for that (axe: scrollable-region-focusable)
        <ol class="log" tabIndex={0} aria-label={texts.list}>
          {shown.map((frame) => (
            <FrameRow key={`${frame.at} ${frame.direction} ${frame.topic}`} frame={frame} />
          ))}
        </ol>
      )}
    </>
  );
}

export function MqttFramesSection({ stationId }: { readonly stationId: string }) {
  const { khumbu, mayOperate, say } = usePage();
  const [told, setTold] = useState<MqttFrames>();
  const [isReading, setIsReading] = useState(false);
  if (!mayOperate) return null;
  const texts = en.frames;
  const read = async (): Promise<void> => {
    setIsReading(true);
    try {
      const params = { path: { stationId } };
      setTold(await answered(khumbu.GET('/v1/stations/{stationId}/mqtt-frames', { params })));
    } catch (error) {
      say(problemText(error), true);
    } finally {
      setIsReading(false);
    }
  };
  const action = told ? texts.again : texts.show;
  return (
    <section aria-label={texts.heading}>
      <h2>{texts.heading}</h2>
      <p>
        <small>{texts.lead}</small>
      </p>
      <p class="buttons">
        <button type="button" disabled={isReading} onClick={() => void read()}>
          {isReading ? texts.reading : action}
        </button>
      </p>
      {told ? <FrameList told={told} /> : null}
    </section>
  );
}
