/** What a person may ask of a station. */
import { answered } from '@khumbu/client/client';
import type { Station } from '@khumbu/client/generated/rest-api';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { en } from '../texts.js';
import { useAct } from '../use-act.js';
import { useRead } from '../use-read.js';
import { Confirm, textOf } from './confirm.js';

type Asked = 'update' | 'logs' | 'reset';

function ImageFields() {
  const { khumbu } = usePage();
  const images = useRead(
    async () => (await answered(khumbu.GET('/v1/firmware-artifacts', { params: { query: {} } }))).items,
    [],
  );
  const [artifact, setArtifact] = useState('');
  const texts = en.actions;
  return (
    <>
      {images && images.length > 0 ? (
        <>
          <label for="artifact">{texts.held}</label>
          <select id="artifact" name="artifact" onChange={(event) => setArtifact(event.currentTarget.value)}>
            <option value="">{texts.other}</option>
            {images.map(({ sha256, sources }) => (
              <option key={sha256} value={sha256}>
                {sources[0]?.from ?? ''} {sha256.slice(0, 12)}
              </option>
            ))}
          </select>
        </>
      ) : null}
      {artifact === '' ? (
        <>
          <label for="location">{texts.location}</label>
          <input id="location" name="location" type="url" required aria-describedby="location-hint" />
          <small id="location-hint">{texts.locationHint}</small>
        </>
      ) : null}
    </>
  );
}

export function StationActions({ station: { stationId, refusedBecause } }: { readonly station: Station }) {
  const { khumbu, mayOperate } = usePage();
  const act = useAct();
  const [asked, setAsked] = useState<Asked>();
  const [resetType, setResetType] = useState<'Soft' | 'Hard'>('Soft');
  if (!mayOperate || refusedBecause) return null;
  const texts = en.actions;
  const params = { path: { stationId } };
  const close = (): void => setAsked(undefined);

  const update = (fields: FormData): void => {
    const artifact = textOf(fields, 'artifact');
    const body = artifact === '' ? { location: textOf(fields, 'location') } : { artifact };
    void act(texts.update, () => answered(khumbu.POST('/v1/stations/{stationId}/firmware-updates', { params, body })));
  };
  const fetchLogs = (fields: FormData): void => {
    const type = textOf(fields, 'type') === 'SecurityLog' ? 'SecurityLog' : 'DiagnosticsLog';
    void act(texts.logs, () =>
      answered(khumbu.POST('/v1/stations/{stationId}/log-uploads', { params, body: { type } })),
    );
  };
  const reset = (): void =>
    void act(texts.reset, () =>
      answered(khumbu.POST('/v1/stations/{stationId}/reset', { params, body: { type: resetType } })),
    );

  return (
    <section aria-label={texts.heading}>
      <p class="buttons">
        {(['update', 'logs', 'reset'] as const).map((name) => (
          <button key={name} type="button" onClick={() => setAsked(name)}>
            {texts[name]}
          </button>
        ))}
      </p>
      {asked === 'update' ? (
        <Confirm heading={texts.update} consequence={en.consequences.update} onConfirm={update} onClose={close}>
          <ImageFields />
        </Confirm>
      ) : null}
      {asked === 'logs' ? (
        <Confirm heading={texts.logs} consequence={en.consequences.logs} onConfirm={fetchLogs} onClose={close}>
          <label for="type">{texts.logType}</label>
          <select id="type" name="type">
            <option value="DiagnosticsLog">{texts.diagnostics}</option>
            <option value="SecurityLog">{texts.security}</option>
          </select>
        </Confirm>
      ) : null}
      {asked === 'reset' ? (
        <Confirm
          heading={texts.reset}
          consequence={resetType === 'Soft' ? en.consequences.resetSoft : en.consequences.resetHard}
          onConfirm={reset}
          onClose={close}
        >
          <label for="reset-type">{texts.resetType}</label>
          <select
            id="reset-type"
            value={resetType}
            onChange={(event) => setResetType(event.currentTarget.value === 'Hard' ? 'Hard' : 'Soft')}
          >
            <option value="Soft">{texts.soft}</option>
            <option value="Hard">{texts.hard}</option>
          </select>
        </Confirm>
      ) : null}
    </section>
  );
}
