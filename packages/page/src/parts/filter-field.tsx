/** Where a person types which of a list are shown. The filter stands in the address: a link leads to the same list. */
import type { Fields } from '@khumbu/filter/fields';
import { useEffect, useRef, useState } from 'preact/hooks';
import { filterFault } from '../filter-fault.js';
import { en } from '../texts.js';

/** Who types is not asked after each letter. */
const TYPING_MS = 400;

interface FilterFieldProps<F extends Fields> {
  readonly fields: F;
  readonly meanings: Readonly<Record<keyof F, string>>;
  readonly examples: readonly string[];
  /** The filter that is in force. */
  readonly filter: string;
  /** Why the gateway did not take it. */
  readonly refused: string | undefined;
  /** What the list has to tell: how many are shown. */
  readonly status: string;
  readonly onFilter: (filter: string) => void;
}

export function FilterField<F extends Fields>(props: FilterFieldProps<F>) {
  const { fields, meanings, examples, filter, refused, status, onFilter } = props;
  const [typed, setTyped] = useState(filter);
  const [fault, setFault] = useState<string>();
  const texts = en.filter;
  const asked = useRef(filter);
  useEffect(() => {
    // What this field has asked for comes back while somebody types on.
    if (filter === asked.current) return;
    asked.current = filter;
    setTyped(filter);
  }, [filter]);
  const use = (): void => {
    const wanted = typed.trim();
    const found = filterFault(wanted, fields);
    setFault(found);
    if (found !== undefined || wanted === asked.current) return;
    asked.current = wanted;
    onFilter(wanted);
  };
  useEffect(() => {
    const timer = setTimeout(use, TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    use();
  };
  const problem = fault ?? refused;
  return (
    <search>
      <form class="filter" onSubmit={submit}>
        <label for="filter">{texts.label}</label>
        <input
          id="filter"
          type="search"
          list="filter-examples"
          autocomplete="off"
          spellcheck={false}
          value={typed}
          placeholder={examples[0]}
          aria-invalid={problem !== undefined}
          aria-describedby="filter-fault"
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <datalist id="filter-examples">
          {examples.map((example) => (
            <option key={example} value={example} />
          ))}
        </datalist>
        <small role="status">{status}</small>
        <p id="filter-fault" class="failed notice">
          {problem}
        </p>
        <details>
          <summary>{texts.how}</summary>
          <p>{texts.language}</p>
          <dl class="fields">
            {Object.entries(fields).map(([name, { isKeyed, values }]) => (
              <div key={name}>
                <dt>
                  <code>{isKeyed ? `${name}.NAME` : name}</code>
                </dt>
                <dd>
                  {meanings[name]}
                  {values ? <small> {values.join(', ')}</small> : null}
                </dd>
              </div>
            ))}
          </dl>
        </details>
      </form>
    </search>
  );
}
