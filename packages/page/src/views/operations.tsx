import { answered } from '@khumbu/client/client';
import { usePage } from '../context.js';
import { OperationCard } from '../parts/operation.js';
import { en } from '../texts.js';
import { useRead } from '../use-read.js';

const SHOWN = 100;

/** What was asked of all stations, the newest first. */
export function Operations() {
  const { khumbu, depot } = usePage();
  const operations = useRead(
    async () => (await answered(khumbu.GET('/v1/operations', { params: { query: { limit: SHOWN } } }))).items,
    [depot.stations],
  );
  return (
    <>
      <h1>{en.operations}</h1>
      {operations?.length === 0 ? <p>{en.none.operations}</p> : null}
      {operations?.map((each) => (
        <OperationCard key={each.operationId} operation={each} showsStation />
      ))}
    </>
  );
}
