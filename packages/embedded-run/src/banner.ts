/** What a person reads when everything is ready. */
import type { Endpoints } from './cluster.js';

/** `page`: where the page is, and how one signs in. */
export function banner(endpoints: Endpoints, page: string, stations: number, seconds: number): string {
  return `
Khumbu is ready (${seconds.toFixed(1)} s), with ${stations} simulated stations.

  Page          ${page}
  REST API      ${endpoints.httpUrls.join(', ')}  (documentation: ${endpoints.httpUrl}/docs)
  MQTT broker   ${endpoints.mqttUrl}
  Redis         ${endpoints.redisUrl}
  Object store  ${endpoints.s3Endpoint}, bucket ${endpoints.s3Bucket}, key ${endpoints.s3AccessKey} / ${endpoints.s3SecretKey}
  API key       ${endpoints.apiKey}
  Data          ${endpoints.dataDir}  (logs in log/, stations in stations.yaml)

  A first request:
    curl -s -H 'Authorization: Bearer ${endpoints.apiKey}' ${endpoints.httpUrl}/v1/stations

  NOT FOR PRODUCTION: every station that speaks is taken for a simulated one, unsigned firmware and loopback
  locations are allowed, the broker asks for no credentials.

Ctrl-C stops everything.
`;
}
