/** Schemas compiled by ajv, each once, in the one way in which the contract is read. */
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import type { TSchema } from 'typebox';
import { withSharedParts } from './shared-parts.js';

// RFC 3339 knows times no clock of ours can show (leap seconds); taken as a time, NaN would end up in due times.
const rfc3339Ajv = new Ajv();
addFormats.default(rfc3339Ajv, ['date-time']);
const rfc3339 = rfc3339Ajv.compile({ type: 'string', format: 'date-time' });
/** A time stamp of RFC 3339 that a clock of ours can show. */
export const isTimeStamp = (text: string): boolean => rfc3339(text) && Number.isFinite(Date.parse(text));

/** The schemas carry $id for the published documents; ajv must not take them for shared definitions. */
const forAjv = (key: string, value: unknown): unknown => {
  if (key === '$id') return undefined;
  return key === 'format' && value === 'date-time' ? 'time-stamp' : value;
};

/** The validator of a schema, compiled at its first use. No coercion, no defaults: a "1" is not an id. */
export function createValidators(allErrors: boolean): (schema: TSchema) => ValidateFunction {
  // Without ajv's own optimizer: V8 has one, and it would take half of the time of a compilation (0.3 s for the stations file).
  const ajv = new Ajv({ strict: false, strictNumbers: true, allErrors, code: { optimize: false } });
  // Formats are needed for RFC 3339 time stamps.
  addFormats.default(ajv);
  ajv.addFormat('time-stamp', isTimeStamp);
  const validators = new Map<TSchema, ValidateFunction>();
  return (schema) => {
    const known = validators.get(schema);
    if (known) return known;
    const plain = JSON.parse(JSON.stringify(schema, forAjv)) as Readonly<Record<string, unknown>>;
    // Which error comes first is the same with shared parts; a failed choice between two of them may be reported once more.
    const validate = ajv.compile(allErrors ? plain : withSharedParts(plain));
    validators.set(schema, validate);
    return validate;
  };
}
