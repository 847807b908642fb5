/** What judges signing certificates: trust files, revocation lists, and the threads that do it. */
import { watchCrls } from '@khumbu/firmware-trust/crl-watch';
import { createJudges } from '@khumbu/firmware-trust/judges';
import { openTrustStore, policyOf } from '@khumbu/firmware-trust/roots';
import type { Now } from '@khumbu/operations/clock/depot-clock';
import type { FileHealth } from '@khumbu/shared/runtime/file-health';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { GatewayConfig } from '../config.js';

export function openCertificates(
  config: GatewayConfig,
  fileHealth: FileHealth,
  now: Now,
  life: Lifecycle,
  log: Logger,
) {
  const files = { rootsFile: config.MANUFACTURER_ROOTS_FILE, crlFile: config.FIRMWARE_CRL_FILE };
  const trust = openTrustStore(files, fileHealth, () => crls?.look());
  life.onStop('trust files', () => trust.close());
  const wallNow = (): Date => new Date(now().wall);
  const policy = policyOf(config, log);
  const crls = watchCrls({ crls: () => trust.current().crls, strength: policy.strength, now: wallNow, log });
  life.onStop('CRLs', () => crls.stop());
  const judges = createJudges({ material: () => trust.current(), policy, log });
  life.onStop('judges of certificates', () => judges.close());
  return { judges, crls, wallNow };
}
