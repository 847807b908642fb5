/** A dialog in which an update, logs or a reset are ordered, for one station or for many. */
import { answered } from '@khumbu/client/client';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { type Order, type Ordered, orderOf } from '../orders.js';
import { en } from '../texts.js';
import { useRead } from '../use-read.js';
import { Confirm } from './confirm.js';

function ImageFields({ onAllow }: { readonly onAllow: (isAllowed: boolean) => void }) {
  const { khumbu } = usePage();
  const images = useRead(
    'images',
    async (signal) => (await answered(khumbu.GET('/v1/firmware-artifacts', { params: { query: {} }, signal }))).items,
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
      <details>
        <summary>{texts.signed}</summary>
        <label for="signature">{texts.signature}</label>
        <input id="signature" name="signature" type="file" />
        <label for="certificate">{texts.certificate}</label>
        <input id="certificate" name="certificate" type="file" />
      </details>
      <label class="check">
        <input name="allow" type="checkbox" onChange={(event) => onAllow(event.currentTarget.checked)} />{' '}
        {texts.allowAtOnce}
      </label>
    </>
  );
}

function LogFields() {
  const texts = en.actions;
  return (
    <>
      <label for="type">{texts.logType}</label>
      <select id="type" name="type">
        <option value="DiagnosticsLog">{texts.diagnostics}</option>
        <option value="SecurityLog">{texts.security}</option>
      </select>
    </>
  );
}

function ResetFields({ onType }: { readonly onType: (isHard: boolean) => void }) {
  const texts = en.actions;
  return (
    <>
      <label for="type">{texts.resetType}</label>
      <select id="type" name="type" onChange={(event) => onType(event.currentTarget.value === 'Hard')}>
        <option value="Soft">{texts.soft}</option>
        <option value="Hard">{texts.hard}</option>
      </select>
    </>
  );
}

interface OrderDialogProps {
  readonly what: Ordered;
  /** Said before what will happen: where it will. */
  readonly where?: string;
  /** Rejects when a file cannot be read. */
  readonly onOrder: (order: Promise<Order>, fields: FormData) => void;
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
}

export function OrderDialog({ what, where, onOrder, onClose, children }: OrderDialogProps) {
  /** What was chosen is the harder one: install without waiting, restart the host. */
  const [isHard, setIsHard] = useState(false);
  const { consequences: texts } = en;
  const consequence = {
    update: isHard ? texts.updateAllowed : texts.update,
    logs: texts.logs,
    reset: isHard ? texts.resetHard : texts.resetSoft,
  }[what];
  return (
    <Confirm
      heading={en.actions[what]}
      consequence={where === undefined ? consequence : `${where} ${consequence}`}
      onConfirm={(fields) => onOrder(orderOf(what, fields), fields)}
      onClose={onClose}
    >
      {what === 'update' ? <ImageFields onAllow={setIsHard} /> : null}
      {what === 'logs' ? <LogFields /> : null}
      {what === 'reset' ? <ResetFields onType={setIsHard} /> : null}
      {children}
    </Confirm>
  );
}
