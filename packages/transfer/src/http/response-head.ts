/** The heads of answers that other servers give. */

/**
 * Longest head of an answer, in bytes. Portals set many cookies and long security policies: Node's own 16 KiB are not
 * enough for them. curl takes 300 KiB.
 */
export const MAX_HEAD_BYTES = 256 * 1024;
