/** Conditions instead of alternatives: then what is said of a mistake is about what was meant. */
export const conditional = (condition: object, consequence: object, otherwise: object = {}): object => {
  const parts = [condition, consequence, otherwise];
  return Object.fromEntries(['if', 'then', 'else'].map((keyword, i) => [keyword, parts[i]]));
};
