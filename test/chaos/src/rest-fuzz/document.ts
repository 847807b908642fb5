/** As much of the OpenAPI document as requests are made from and answers are compared with. */
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly examples?: readonly unknown[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
}
type Content = Readonly<Record<string, { readonly schema?: Schema }>>;
export interface Route {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body?: Content;
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}
interface Operation extends Pick<Route, 'responses'> {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
}
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

export const routesOf = ({ paths }: Document): readonly Route[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      responses,
      ...(requestBody ? { body: requestBody.content } : {}),
    })),
  );

export function resolverOf({ components }: Document): (schema: Schema) => Schema {
  const resolve = (schema: Schema): Schema => {
    if (schema.$ref === undefined) return schema;
    const named = components.schemas[schema.$ref.split('/').at(-1) ?? ''];
    if (!named) throw new TypeError(`${schema.$ref} is not in the document`);
    return resolve(named);
  };
  return resolve;
}

/** Says what is wrong with an answer as the document has it; `undefined`: nothing. */
export function createAnswerCheck(document: Document) {
  const ajv = new Ajv({ strict: false });
  addFormats.default(ajv);
  ajv.addSchema({ $id: 'doc', components: document.components });
  const validators = new Map<Schema, ValidateFunction>();
  const validatorOf = (schema: Schema): ValidateFunction => {
    const known = validators.get(schema);
    if (known) return known;
    const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', '"doc#/components/')) as object;
    const made = ajv.compile(absolute);
    validators.set(schema, made);
    return made;
  };
  return ({ responses }: Route, status: number, contentType: string, text: string): string | undefined => {
    const response = responses[String(status)];
    if (!response) return `${status} is not documented`;
    if (!response.content || status === 304) return undefined;
    const type = contentType.split(';', 1)[0] ?? '';
    const content = response.content[type];
    if (!content) return `${status} as ${type} is not documented`;
    if (!/^application\/(.+\+)?json$/.test(type) || !content.schema) return undefined;
    const validate = validatorOf(content.schema);
    return validate(JSON.parse(text)) ? undefined : `${status}: ${ajv.errorsText(validate.errors)}`;
  };
}
