/**
 * What counts as a break of REST, as one table: a caller that was written for the last release would stop working, or would
 * not compile any more. Everything that is not in it may change. The documents and the comparison walk this table.
 */

export const BREAKS = {
  operation_removed: 'A method of an address is gone, and was not deprecated with a `Sunset` that is over.',
  operation_renamed: 'Its `operationId` is another one: generators name functions by it.',
  scope_raised: 'It needs a scope that includes more than the one before.',
  parameter_removed: 'A parameter is not known any more; those that are not known are refused.',
  parameter_required: 'A parameter has to be there that could be absent.',
  body_required: 'A body has to be there that could be absent.',
  request_type_removed: 'A body or parameter is not taken any more in a media type, or as a type, in which it was.',
  request_value_removed: 'A value is not taken any more.',
  request_bound_tightened: 'A length, a number or a pattern that was taken is not any more.',
  request_member_removed: 'A member of a body is not known any more.',
  request_member_required: 'A member of a body has to be there that could be absent.',
  answer_removed: 'A success is not answered with this status, or in this media type, any more.',
  answer_header_removed: 'An answer does not have a header any more.',
  answer_type_changed: 'A member of an answer can have a type that it could not have.',
  answer_member_removed: 'A member of an answer is gone.',
  answer_member_optional: 'A member of an answer that was always there can be absent.',
  answer_value_removed: 'A word of an answer, as a status or the code of a problem, is not used any more.',
} as const satisfies Record<string, string>;
export type Break = keyof typeof BREAKS;

export interface FoundBreak {
  readonly what: Break;
  /** Method and path, and where in it. */
  readonly where: string;
  /** What is gone, or what was and what is. */
  readonly detail: string;
}
