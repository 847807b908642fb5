import { answered } from '@khumbu/client/client';
import { usePage } from '../context.js';
import { bytesText, timeText } from '../formats.js';
import { en } from '../texts.js';
import { useRead } from '../use-read.js';

/** What the depot holds, and what that has saved. */
export function Images() {
  const { khumbu } = usePage();
  const images = useRead(
    async () => (await answered(khumbu.GET('/v1/firmware-artifacts', { params: { query: {} } }))).items,
    [],
  );
  const texts = en.image;
  return (
    <>
      <h1>{en.images}</h1>
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
