/** What the fields of a dialog ask for, as REST takes it. */
import type { FirmwareUpdateOrder, LogUploadOrder, ResetOrder } from '@khumbu/client/generated/rest-api';

export type Order =
  | { readonly what: 'update'; readonly body: FirmwareUpdateOrder }
  | { readonly what: 'logs'; readonly body: LogUploadOrder }
  | { readonly what: 'reset'; readonly body: ResetOrder };
export type Ordered = Order['what'];
export const ORDERED = ['update', 'logs', 'reset'] as const satisfies readonly Ordered[];

/** What was typed or chosen; empty: nothing. */
export function textOf(fields: FormData, name: string): string {
  const value = fields.get(name);
  return typeof value === 'string' ? value.trim() : '';
}

/** `undefined`: none was chosen. */
export function fileOf(fields: FormData, name: string): File | undefined {
  const value = fields.get(name);
  return value instanceof File && value.size > 0 ? value : undefined;
}

async function base64Of(file: Blob): Promise<string> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}

async function updateOf(fields: FormData): Promise<FirmwareUpdateOrder> {
  const artifact = textOf(fields, 'artifact');
  const [signature, certificate] = [fileOf(fields, 'signature'), fileOf(fields, 'certificate')];
  return {
    ...(artifact === '' ? { location: textOf(fields, 'location') } : { artifact }),
    ...(signature ? { signature: await base64Of(signature) } : {}),
    ...(certificate ? { signing_certificate: await certificate.text() } : {}),
    ...(fields.has('allow') ? { allowInstallation: true } : {}),
  };
}

export async function orderOf(what: Ordered, fields: FormData): Promise<Order> {
  if (what === 'update') return { what, body: await updateOf(fields) };
  const type = textOf(fields, 'type');
  if (what === 'logs') return { what, body: { type: type === 'SecurityLog' ? 'SecurityLog' : 'DiagnosticsLog' } };
  return { what, body: { type: type === 'Hard' ? 'Hard' : 'Soft' } };
}
