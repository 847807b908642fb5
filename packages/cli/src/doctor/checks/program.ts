/** Node, and the programs that services call. */
import { about, type Finding } from '../finding.js';
import type { Place } from '../place.js';
import type { Sight } from '../sight.js';

const OLDEST = [20, 19] as const;

/** Pure. */
export function judgeNode(version: string): Finding {
  const { ok, wrong } = about('node');
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isNew = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
  return isNew
    ? ok(`Node ${version}`)
    : wrong(`Node ${version} is too old`, `install Node ${OLDEST.join('.')} or newer`);
}

export const lookAtNode = async (_place: Place, { nodeVersion }: Sight): Promise<Finding[]> => [judgeNode(nodeVersion)];

const OF_UP = [
  { names: ['redis-server', 'valkey-server'], debian: 'redis-server' },
  { names: ['mosquitto'], debian: 'mosquitto' },
  { names: ['openssl'], debian: 'openssl' },
] as const;

export async function lookAtPrograms({ kind }: Place, sight: Sight): Promise<Finding[]> {
  const { ok, wrong } = about('programs');
  const needed = kind === 'up' ? OF_UP : OF_UP.filter(({ names }) => names.some((name) => name === 'openssl'));
  const missing = needed.filter(({ names }) => !sight.hasCommand(names));
  if (missing.length === 0) return [ok(needed.map(({ names }) => names[0]).join(', '))];
  return missing.map(({ names, debian }) =>
    wrong(`${names[0]} is not there`, `apt-get install -y ${debian} (Debian, Ubuntu)`),
  );
}
