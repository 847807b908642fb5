/** The health check of a service's container: exit code 0 when the service says that it is ready. */
import http from 'node:http';
import https from 'node:https';
import { text } from 'node:stream/consumers';

const { HTTP_PORT = '8080', HEALTH_PORT = HTTP_PORT, HTTPS_CERT_FILE = '' } = process.env;
// On loopback; the certificate names another host.
const [client, scheme] = HTTPS_CERT_FILE === '' ? [http, 'http'] : [https, 'https'];
const url = `${scheme}://127.0.0.1:${HEALTH_PORT}/readyz`;

const fail = (error) => {
  console.log(error.message);
  process.exit(1);
};
const request = client.get(url, { rejectUnauthorized: false, timeout: 4000 }, (response) => {
  text(response).then((body) => {
    // Shown by `docker inspect`: which probe fails, and why.
    console.log(body);
    process.exit(response.statusCode === 200 ? 0 : 1);
  }, fail);
});
request.on('timeout', () => request.destroy(new Error('no answer in time')));
request.on('error', fail);
