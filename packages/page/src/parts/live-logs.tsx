/** The logs of a station as they are written. */
import { useEffect, useRef } from 'preact/hooks';
import { usePage } from '../context.js';
import { textOf } from '../orders.js';
import { en } from '../texts.js';
import { useLiveLogs } from '../use-live-logs.js';

export function LiveLogs({ stationId }: { readonly stationId: string }) {
  const { mayOperate } = usePage();
  const { lines, isOpen, end, begin, stop } = useLiveLogs(stationId);
  const list = useRef<HTMLOListElement>(null);
  const isAtEnd = useRef(true);
  const texts = en.live;
  useEffect(() => {
    // Who has gone back to an older line stays there.
    if (list.current && isAtEnd.current) list.current.scrollTop = list.current.scrollHeight;
  }, [lines]);
  if (!mayOperate) return null;
  const look = (event: SubmitEvent): void => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const grep = textOf(fields, 'grep');
    const type = textOf(fields, 'type') === 'SecurityLog' ? 'SecurityLog' : 'DiagnosticsLog';
    isAtEnd.current = true;
    begin({ type, follow: true, ...(grep === '' ? {} : { grep }) });
  };
  const onScroll = ({
    currentTarget: { scrollTop, scrollHeight, clientHeight },
  }: {
    currentTarget: HTMLElement;
  }): void => {
    isAtEnd.current = scrollTop + clientHeight > scrollHeight - 20;
  };
  return (
    <section aria-label={texts.heading}>
      <h2>{texts.heading}</h2>
      <form class="live-form" onSubmit={look}>
        <label for="live-type">{en.actions.logType}</label>
        <select id="live-type" name="type">
          <option value="DiagnosticsLog">{en.actions.diagnostics}</option>
          <option value="SecurityLog">{en.actions.security}</option>
        </select>
        <label for="live-grep">{texts.grep}</label>
        <input id="live-grep" name="grep" maxLength={1000} aria-describedby="live-grep-hint" />
        <small id="live-grep-hint">{texts.grepHint}</small>
        <p class="buttons">
          <button type="submit">{texts.begin}</button>
          {isOpen ? (
            <button type="button" onClick={stop}>
              {texts.stop}
            </button>
          ) : null}
        </p>
      </form>
      <p role="status">{isOpen ? texts.open(lines.length) : end === undefined ? '' : (texts.ends[end] ?? end)}</p>
      {lines.length === 0 ? null : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and a keyboard must reach it for that (axe: scrollable-region-focusable)
        <ol class="log" ref={list} tabIndex={0} aria-label={texts.lines} onScroll={onScroll}>
          {lines.map(({ number, source, text, isNote }) => (
            <li key={number} class={isNote ? 'note' : undefined}>
              <b>{source}</b> {text}
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
