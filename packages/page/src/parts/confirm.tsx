/** A dialog that says what will happen before it does. The browser keeps the focus inside and closes it with Escape. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { en } from '../texts.js';

interface ConfirmProps {
  readonly heading: string;
  readonly consequence: string;
  readonly onConfirm: (fields: FormData) => void;
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
}

export function Confirm({ heading, consequence, onConfirm, onClose, children }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    onConfirm(new FormData(event.currentTarget as HTMLFormElement));
    onClose();
  };
  return (
    <dialog ref={dialog} aria-labelledby="confirm-heading" onClose={onClose}>
      <form onSubmit={submit}>
        <h2 id="confirm-heading">{heading}</h2>
        {children}
        <p class="consequence">{consequence}</p>
        <p class="buttons">
          <button type="button" onClick={onClose}>
            {en.actions.back}
          </button>
          <button type="submit" class="main">
            {heading}
          </button>
        </p>
      </form>
    </dialog>
  );
}
