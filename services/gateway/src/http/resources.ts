import type { StationKind } from '@khumbu/operations/kinds/kinds';
import type { ProblemCode } from '@khumbu/rest-contract/problem-codes';

interface Resource {
  readonly path: string;
  readonly tag: 'firmware' | 'logs';
  /** As part of operation ids of OpenAPI, and in sentences. */
  readonly id: string;
  readonly what: string;
  /** Why it cannot be canceled in every state. */
  readonly cancelProblems: readonly ProblemCode[];
}

/** The kinds whose operations have paths of their own under their station. */
export const RESOURCES = {
  firmware_update: {
    path: 'firmware-updates',
    tag: 'firmware',
    id: 'FirmwareUpdate',
    what: 'firmware update',
    cancelProblems: ['NOT_CANCELABLE'],
  },
  log_upload: { path: 'log-uploads', tag: 'logs', id: 'LogUpload', what: 'log upload', cancelProblems: [] },
} as const satisfies Readonly<Partial<Record<StationKind, Resource>>>;
export type ResourceKind = keyof typeof RESOURCES;

/** `undefined`: its operations are found under `/v1/operations` alone. */
export const pathOfKind = (kind: StationKind): string | undefined =>
  Object.entries(RESOURCES).find(([name]) => name === kind)?.[1].path;
