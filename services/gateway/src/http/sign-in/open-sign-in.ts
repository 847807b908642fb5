/** Signing in at a provider, from the settings. */
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import { followAuthorities } from '@khumbu/shared/runtime/certificate-bundle';
import type { FileReports } from '@khumbu/shared/runtime/followed-file';
import type { GatewayConfig } from '../../config.js';
import { signInRules } from './settings.js';

/** `undefined`: keys alone. Throws `CONFIG_INVALID`. Nobody is asked anything yet. */
export function openSignIn(config: GatewayConfig, reports: FileReports) {
  const rules = signInRules(config);
  if (!rules) return undefined;
  const authorities = followAuthorities('OIDC_CA_FILE', config.OIDC_CA_FILE, reports);
  return {
    rules,
    authorities: () => authorities?.current(),
    userAgent: userAgentOf(config),
    reports,
    close: (): void => authorities?.close(),
  };
}
