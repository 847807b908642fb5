import { answered } from '@khumbu/client/client';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { bytesText, timeText } from '../formats.js';
import { fileOf } from '../orders.js';
import { en } from '../texts.js';
import { useAct } from '../use-act.js';
import { useAtMostEvery } from '../use-at-most-every.js';
import { useRead } from '../use-read.js';

/** As much of the name of a file as REST takes. */
const LONGEST_NAME = 200;
const CHANGED_MS = 2000;

/** An image from this computer. */
function BringIn({ onDone }: { readonly onDone: () => void }) {
  const { khumbu, mayOperate } = usePage();
  const act = useAct();
  const [isSending, setIsSending] = useState(false);
  if (!mayOperate) return null;
  const texts = en.image;
  const send = async (form: HTMLFormElement): Promise<void> => {
    const file = fileOf(new FormData(form), 'image');
    if (!file) return;
    setIsSending(true);
    const params = { query: { name: file.name.slice(0, LONGEST_NAME) } };
    const headers = { 'content-type': 'application/octet-stream' };
    const bodySerializer = (): File => file;
    await act(texts.bringIn, () =>
      answered(khumbu.POST('/v1/firmware-artifacts', { params, headers, body: file, bodySerializer })),
    );
    setIsSending(false);
    onDone();
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    void send(event.currentTarget as HTMLFormElement);
  };
  return (
    <form class="bring-in" onSubmit={submit}>
      <label for="image">{texts.file}</label>
      <input id="image" name="image" type="file" required />
      <button type="submit" disabled={isSending}>
        {isSending ? texts.sending : texts.bringIn}
      </button>
      <small>{texts.hint}</small>
    </form>
  );
}

/** What the depot holds, and what that has saved. */
export function Images() {
  const { khumbu, depot } = usePage();
  const [brought, setBrought] = useState(0);
  const changed = useAtMostEvery(depot.stations, CHANGED_MS);
  const images = useRead(
    'images',
    async (signal) => (await answered(khumbu.GET('/v1/firmware-artifacts', { params: { query: {} }, signal }))).items,
    [brought, changed],
  );
  const texts = en.image;
  return (
    <>
      <h1>{en.images}</h1>
      <BringIn onDone={() => setBrought((before) => before + 1)} />
      {images?.length === 0 ? <p>{en.none.images}</p> : null}
      {images?.map((image) => (
        <article key={image.sha256} class="card" aria-labelledby={image.sha256}>
          <h2 id={image.sha256}>{image.sources[0]?.from ?? image.sha256.slice(0, 12)}</h2>
          <dl class="facts">
            {(
              [
                [en.operation.size, bytesText(image.sizeBytes)],
                [texts.hash, image.sha256],
                [texts.uses, String(image.uses)],
                [texts.saved, bytesText(image.bytesSaved)],
                [texts.added, timeText(image.addedAt)],
                [texts.used, timeText(image.lastUsedAt)],
              ] as const
            ).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </article>
      ))}
    </>
  );
}
