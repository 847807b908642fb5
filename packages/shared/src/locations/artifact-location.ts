/** The location of an image that the depot itself holds: `artifact://sha256/<64 hex digits>`. Nothing is connected to. Pure. */

const FORM = /^artifact:\/\/sha256\/([0-9a-f]{64})(?:#.*)?$/i;

export const artifactLocation = (sha256: string): string => `artifact://sha256/${sha256}`;

/** The SHA-256, lower-case hex; `undefined`: it is no such location. The fragment does not count. */
export const artifactOf = (location: string): string | undefined => FORM.exec(location.trim())?.[1]?.toLowerCase();
