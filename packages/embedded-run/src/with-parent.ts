/**
 * Loaded into every node child before its own code: a child whose supervisor is gone does not live on. Services watch
 * their IPC channel themselves and stop in order; this is for one that does not, or hangs while it stops.
 */
const GRACE_MS = 5000;

if (process.channel) {
  process.once('disconnect', () => {
    if (process.listenerCount('disconnect') === 0) process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS).unref();
  });
  // A listener would keep the process alive for as long as the channel is open.
  process.channel.unref();
}
