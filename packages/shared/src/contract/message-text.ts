/** What the AsyncAPI document says of a message. Read at run time by nothing else. */

export interface MessageText {
  readonly title: string;
  readonly description: string;
  /** Payloads of the MQTT message as they are on the wire. */
  readonly examples: readonly { readonly summary: string; readonly payload: unknown }[];
}

export const message = (title: string, description: string, ...examples: MessageText['examples']): MessageText => {
  return { title, description, examples };
};

const replyTo = 'everest_api/1/system/system_1/m2e/reply/3f2c9a54-7d0e-4d55-9f37-1f6a1d0f7b21';
export const example = (summary: string, payload: unknown) => ({ summary, payload });
/** One with the address of its reply; without a payload it is the headers alone. */
export const asked = (summary: string, payload?: unknown) =>
  example(summary, { headers: { replyTo }, ...(payload === undefined ? {} : { payload }) });
