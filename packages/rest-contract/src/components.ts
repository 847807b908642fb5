/** The schemas that are components of the OpenAPI document, with all they are made of. */
import { ArtifactPageSchema, ContentUrlOrderSchema, ContentUrlSchema, ImageBytesSchema } from './artifacts.js';
import {
  BulkFirmwareUpdateOrderSchema,
  BulkLogUploadOrderSchema,
  BulkResetOrderSchema,
  BulkResultSchema,
} from './bulk.js';
import { DepotSchema } from './depot.js';
import { DriverCheckSchema } from './driver-check.js';
import { EventSchema } from './events.js';
import { LogArchivePageSchema, LogArchiveSchema } from './log-archives.js';
import { LogViewLineSchema } from './log-view.js';
import { MqttFramesSchema } from './mqtt-frames.js';
import { OperationPageSchema, OperationSchema } from './operations.js';
import {
  FirmwareUpdateOrderSchema,
  LogUploadOrderSchema,
  NetworkOrderSchema,
  ResetOrderSchema,
  SystemTimeOrderSchema,
} from './orders.js';
import { ProblemSchema } from './problem.js';
import { SecurityEntrySchema, SecurityLogPageSchema, SecurityVerdictSchema } from './security-log.js';
import { SessionSchema, SignInCodeOrderSchema, SignInCodeSchema } from './sessions.js';
import {
  BootReasonViewSchema,
  ResetPermissionSchema,
  StationGroupsOrderSchema,
  StationPageSchema,
} from './stations.js';
import { WanBudgetOrderSchema, WanSchema } from './wan.js';
import {
  DeadLetterPageSchema,
  NewWebhookSchema,
  WebhookKeyOrderSchema,
  WebhookOrderSchema,
  WebhookPageSchema,
  WebhookResendSchema,
} from './webhooks.js';

export const REST_SCHEMAS = [
  ArtifactPageSchema,
  ContentUrlSchema,
  ContentUrlOrderSchema,
  ImageBytesSchema,
  DepotSchema,
  DriverCheckSchema,
  EventSchema,
  LogArchivePageSchema,
  LogArchiveSchema,
  LogViewLineSchema,
  MqttFramesSchema,
  OperationSchema,
  StationPageSchema,
  OperationPageSchema,
  ResetPermissionSchema,
  BootReasonViewSchema,
  ProblemSchema,
  SecurityEntrySchema,
  SecurityLogPageSchema,
  SecurityVerdictSchema,
  FirmwareUpdateOrderSchema,
  LogUploadOrderSchema,
  ResetOrderSchema,
  SystemTimeOrderSchema,
  NetworkOrderSchema,
  StationGroupsOrderSchema,
  BulkFirmwareUpdateOrderSchema,
  BulkLogUploadOrderSchema,
  BulkResetOrderSchema,
  BulkResultSchema,
  SessionSchema,
  SignInCodeOrderSchema,
  SignInCodeSchema,
  WanSchema,
  WanBudgetOrderSchema,
  WebhookPageSchema,
  NewWebhookSchema,
  WebhookOrderSchema,
  WebhookKeyOrderSchema,
  DeadLetterPageSchema,
  WebhookResendSchema,
] as const;
