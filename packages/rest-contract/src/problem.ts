/** RFC 9457. */
import { Type } from 'typebox';
import { optionalText, text } from './members.js';
import { PROBLEMS, type ProblemCode } from './problem-codes.js';

export const ProblemSchema = Type.Object(
  {
    type: text('urn:khumbu:problem: and the code.'),
    title: text('What the code means.'),
    status: Type.Integer({ description: 'HTTP status.' }),
    detail: optionalText('What it was this time; absent where the title says it all.'),
    instance: text('The path that was asked for.'),
    code: Type.Enum(Object.keys(PROBLEMS) as ProblemCode[], { description: 'Stable: decide by this.' }),
    reason: optionalText('The word of the decision behind it.'),
    operationId: optionalText('The operation it is about.'),
    operations: Type.Optional(
      Type.Array(Type.String(), { description: 'Operations that need what was to be removed, 20 at most.' }),
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          detail: text('What is wrong there.'),
          pointer: optionalText('Where in the body: a JSON pointer as the fragment of a URI.', {
            examples: ['#/retries'],
          }),
          parameter: optionalText('Name of the parameter.', { examples: ['status'] }),
          in: Type.Optional(Type.Enum(['query', 'path', 'header'], { description: 'Where the parameter stands.' })),
          rule: optionalText(
            'The rule of JSON Schema it breaks; `additionalProperties`: it is not known there. Absent where the code names the rule.',
            { examples: ['required', 'type', 'maximum', 'format'] },
          ),
          position: Type.Optional(
            Type.Integer({ minimum: 0, description: 'Of a filter: the first character that does not fit, from 0 on.' }),
          ),
          length: Type.Optional(Type.Integer({ minimum: 0, description: 'How many characters do not fit.' })),
          allowed: Type.Optional(Type.Array(Type.Unknown(), { description: 'What would have been taken.' })),
        }),
        {
          description:
            'All that is wrong with a body or with parameters, twenty at most. Of a refusal: the members it is about.',
        },
      ),
    ),
  },
  {
    $id: 'Problem',
    description: 'An error, RFC 9457.',
    examples: [
      {
        type: 'urn:khumbu:problem:INSTALLING',
        title: PROBLEMS.INSTALLING.title,
        status: 409,
        instance: '/v1/stations/cs-1/firmware-updates',
        code: 'INSTALLING',
        reason: 'installing',
      },
    ],
  },
);
