/** Every benchmark, in the order of the table. */
import type { Benchmark } from '../row.js';
import { admission } from './admission.js';
import { eventStream } from './event-stream.js';
import { fetchOnce } from './fetch-once.js';
import { firmwareVerify } from './firmware-verify.js';
import { firmwareVerifyFiles } from './firmware-verify-files.js';
import { fleet } from './fleet.js';
import { idleFootprint } from './footprint.js';
import { gatewayCrash } from './gateway-crash.js';
import { heartbeats } from './heartbeats.js';
import { imagesRss } from './images-rss.js';
import { jobThroughput } from './job-throughput.js';
import { listPage } from './list-page.js';
import { logJournal } from './log-journal.js';
import { logUpload } from './log-upload.js';
import { logView } from './log-view.js';
import { readyTime } from './ready-time.js';
import { replyLatency } from './reply-latency.js';
import { replyThroughput } from './reply-throughput.js';
import { replyWhileRead } from './reply-while-read.js';
import { sshIdle } from './ssh-idle.js';
import { sshImage } from './ssh-image.js';
import { sshImages, sshImagesReplies } from './ssh-images.js';
import { statusPath } from './status-path.js';
import { takeover } from './takeover.js';
import { updateWall } from './update-wall.js';
import { wanRate } from './wan-rate.js';
import { workerRecovery } from './worker-recovery.js';

export const BENCHMARKS: readonly Benchmark[] = [
  replyLatency,
  replyWhileRead,
  eventStream,
  listPage,
  admission,
  replyThroughput,
  statusPath,
  jobThroughput,
  heartbeats,
  takeover,
  gatewayCrash,
  workerRecovery,
  firmwareVerify,
  firmwareVerifyFiles,
  updateWall,
  fleet,
  fetchOnce,
  imagesRss,
  wanRate,
  logUpload,
  logView,
  logJournal,
  sshImage,
  sshImages,
  sshImagesReplies,
  sshIdle,
  idleFootprint,
  readyTime,
];
