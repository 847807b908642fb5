/** The health check of a service's container: exit code 0 when the service says that it is ready. */
const { HTTP_PORT = '8080', HEALTH_PORT = HTTP_PORT } = process.env;

try {
  const response = await fetch(`http://127.0.0.1:${HEALTH_PORT}/readyz`, { signal: AbortSignal.timeout(4000) });
  // Shown by `docker inspect`: which probe fails, and why.
  console.log(await response.text());
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.log(String(error.cause ?? error));
  process.exitCode = 1;
}
