import type { Station } from '@khumbu/client/generated/rest-api';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { Progress } from '../parts/progress.js';
import { Waiting } from '../parts/waiting.js';
import { stationAddress } from '../routes.js';
import { en } from '../texts.js';

export function Presence({ station }: { readonly station: Station }) {
  const { refusedBecause, presence } = station;
  return (
    <span class={`presence ${refusedBecause ? 'refused' : presence}`}>
      {refusedBecause ? en.refused[refusedBecause] : en.presence[presence]}
    </span>
  );
}

function Row({ station }: { readonly station: Station }) {
  const { stationId, operations, firmware } = station;
  const texts = en.station;
  return (
    <tr>
      <th scope="row">
        <a href={stationAddress(stationId)}>{stationId}</a>
      </th>
      <td data-label={texts.presence}>
        <Presence station={station} />
      </td>
      <td data-label={texts.version}>{firmware?.version ?? texts.unknown}</td>
      <td data-label={texts.doing}>
        {operations.length === 0 ? texts.idle : null}
        {operations.map((operation) => (
          <div key={operation.operationId}>
            {en.kinds[operation.kind] ?? operation.kind}: {operation.status} <Progress operation={operation} />
          </div>
        ))}
      </td>
      <td data-label={texts.waits}>
        {operations.map(({ operationId, waiting }) =>
          waiting ? <Waiting key={operationId} waiting={waiting} /> : null,
        )}
      </td>
    </tr>
  );
}

const isFound = ({ stationId, firmware }: Station, wanted: string): boolean =>
  `${stationId} ${firmware?.version ?? ''}`.toLowerCase().includes(wanted.toLowerCase());

export function Stations() {
  const { depot } = usePage();
  const [wanted, setWanted] = useState('');
  const texts = en.station;
  const all = [...depot.stations.values()];
  const shown = all.filter((station) => isFound(station, wanted));
  return (
    <>
      <h1>{en.stations}</h1>
      <p class="search">
        <label for="search">{texts.search}</label>
        <input id="search" type="search" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        <small role="status">{depot.isLoaded ? texts.count(shown.length, all.length) : en.loading}</small>
      </p>
      {depot.isLoaded && all.length === 0 ? <p>{en.none.stations}</p> : null}
      <table>
        <thead>
          <tr>
            {[texts.name, texts.presence, texts.version, texts.doing, texts.waits].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((station) => (
            <Row key={station.stationId} station={station} />
          ))}
        </tbody>
      </table>
    </>
  );
}
