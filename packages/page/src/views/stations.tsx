import type { Station } from '@khumbu/client/generated/rest-api';
import { STATION_FIELDS } from '@khumbu/filter/fields';
import { useState } from 'preact/hooks';
import { usePage } from '../context.js';
import { BulkActions } from '../parts/bulk-actions.js';
import { FilterField } from '../parts/filter-field.js';
import { Progress } from '../parts/progress.js';
import { TableHead } from '../parts/table-head.js';
import { Waiting } from '../parts/waiting.js';
import { goTo, listAddress, stationAddress } from '../routes.js';
import { en } from '../texts.js';
import { useChosen } from '../use-chosen.js';

export function Presence({ station }: { readonly station: Station }) {
  const { refusedBecause, presence } = station;
  return (
    <span class={`presence ${refusedBecause ? 'refused' : presence}`}>
      {refusedBecause ? en.refused[refusedBecause] : en.presence[presence]}
    </span>
  );
}

interface RowProps {
  readonly station: Station;
  readonly isChosen: boolean;
  /** `undefined`: it cannot be chosen. */
  readonly onChoose: ((isChosen: boolean) => void) | undefined;
}

function Row({ station, isChosen, onChoose }: RowProps) {
  const { stationId, operations, firmware } = station;
  const texts = en.station;
  return (
    <tr>
      <th scope="row">
        {onChoose ? (
          <input
            type="checkbox"
            aria-label={en.bulk.choose(stationId)}
            checked={isChosen}
            onChange={(event) => onChoose(event.currentTarget.checked)}
          />
        ) : null}{' '}
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

/** Nothing is done with the others. */
const isServed = ({ refusedBecause }: Station): boolean => refusedBecause === undefined;
const nameOf = ({ stationId }: Station): string => stationId;

export function Stations({ filter }: { readonly filter: string }) {
  const { depot, mayOperate } = usePage();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const { names: chosen, refused } = useChosen(filter);
  const texts = en.station;
  const all = [...depot.stations.values()];
  const shown = filter === '' ? all : all.filter(({ stationId }) => chosen?.has(stationId));
  const possible = mayOperate ? shown.filter(isServed).map(nameOf) : [];
  // What is not shown is not chosen.
  const marks = possible.filter((stationId) => marked.has(stationId));
  const mark = (stationId: string, isMarked: boolean): void =>
    setMarked(new Set(isMarked ? [...marks, stationId] : marks.filter((each) => each !== stationId)));
  const unknown = refused === undefined ? en.loading : '';
  const isKnown = depot.isLoaded && (filter === '' || chosen !== undefined);
  return (
    <>
      <h1>{en.stations}</h1>
      <FilterField
        fields={STATION_FIELDS}
        meanings={en.filter.stations}
        examples={en.filter.examples.stations}
        filter={filter}
        refused={refused}
        status={isKnown ? texts.count(shown.length, all.length) : unknown}
        onFilter={(next) => goTo(listAddress('stations', next))}
      />
      <BulkActions possible={possible} chosen={marks} onChoose={(stations) => setMarked(new Set(stations))} />
      {depot.isLoaded && all.length === 0 ? <p>{en.none.stations}</p> : null}
      <table>
        <TableHead names={[texts.name, texts.presence, texts.version, texts.doing, texts.waits]} />
        <tbody>
          {shown.map((station) => (
            <Row
              key={station.stationId}
              station={station}
              isChosen={marked.has(station.stationId)}
              onChoose={mayOperate && isServed(station) ? (isChosen) => mark(station.stationId, isChosen) : undefined}
            />
          ))}
        </tbody>
      </table>
    </>
  );
}
