/** Members that many schemas of REST have. */
import { Type } from 'typebox';

export const text = (description: string, more: object = {}) => Type.String({ description, ...more });
export const optionalText = (description: string, more: object = {}) => Type.Optional(text(description, more));
export const time = (description: string) =>
  text(description, { format: 'date-time', examples: ['2026-11-22T09:30:00.000Z'] });
export const optionalTime = (description: string) => Type.Optional(time(description));
export const count = (description: string) => Type.Integer({ minimum: 0, description });

/** Unknown members are mistakes. */
export const closed = { additionalProperties: false } as const;

export const total = Type.Optional(count('How many there are on all pages. With `total=true` alone.'));
export const nextCursor = optionalText('For the next page; absent on the last one.');
