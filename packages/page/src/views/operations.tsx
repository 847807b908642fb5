import { answered } from '@khumbu/client/client';
import { OPERATION_FIELDS } from '@khumbu/filter/fields';
import { usePage } from '../context.js';
import { FilterField } from '../parts/filter-field.js';
import { OperationCard } from '../parts/operation.js';
import { goTo, listAddress } from '../routes.js';
import { en } from '../texts.js';
import { problemText } from '../use-act.js';
import { useAnswer } from '../use-answer.js';
import { useAtMostEvery } from '../use-at-most-every.js';

const SHOWN = 100;
const CHANGED_MS = 1000;

/** What was asked of all stations, the newest first. */
export function Operations({ filter }: { readonly filter: string }) {
  const { khumbu, depot } = usePage();
  const changed = useAtMostEvery(depot.stations, CHANGED_MS);
  const { value: page, failure } = useAnswer(
    filter,
    async (signal) => {
      const query = { limit: SHOWN, total: true, ...(filter === '' ? {} : { filter }) };
      return answered(khumbu.GET('/v1/operations', { params: { query }, signal }));
    },
    [changed],
  );
  const refused = failure && problemText(failure.error);
  const unknown = refused === undefined ? en.loading : '';
  return (
    <>
      <h1>{en.operations}</h1>
      <FilterField
        fields={OPERATION_FIELDS}
        meanings={en.filter.operations}
        examples={en.filter.examples.operations}
        filter={filter}
        refused={refused}
        status={page ? en.operation.count(page.items.length, page.total ?? page.items.length) : unknown}
        onFilter={(next) => goTo(listAddress('operations', next))}
      />
      {page?.items.length === 0 ? <p>{en.none.operations}</p> : null}
      {page?.items.map((each) => (
        <OperationCard key={each.operationId} operation={each} showsStation />
      ))}
    </>
  );
}
