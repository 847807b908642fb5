/** A charger with profile `command`: the template for makers, filled in over two files for slots. */
import { createHash, randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasSshd } from '@khumbu/test-support/sshd';
import type { Charger, ChargerImage, ChargerKind } from './charger.js';
import { createJournal } from './journal.js';

const TEMPLATE = fileURLToPath(new URL('../../../../../infra/station/maker.sh', import.meta.url));
const IMAGE_BYTES = 700_000;
const IMAGES = 4;

const conf = (dir: string): string => `
D='${dir}'
DATA=$D/data
running_slot() { cat "$D/running"; }
slot_device() { echo "$D/slot-$1"; }
boot_next() {
  [ "$1" = "$(cat "$D/running")" ] || sleep "$(cat "$D/install-s")"
  echo "$1" >"$D/next.part"; mv "$D/next.part" "$D/next"
}
image_fits() { sleep "$(cat "$D/install-s")"; [ "$(cat "$D/outcome")" != breaks ] || exit 7; [ "$(cat "$D/outcome")" != unfit ]; }
is_healthy() { :; }
running_version() { echo 1.0; }
boot_id() { cat "$D/boot"; }
reboot_host() {
  sleep "$(cat "$D/reboot-s")"
  if [ "$(cat "$D/outcome")" = 'falls back' ]; then cat "$D/running" >"$D/next"; else cp "$D/next" "$D/running"; fi
  cp /proc/sys/kernel/random/uuid "$D/boot.part"; mv "$D/boot.part" "$D/boot"
}
restart_everest() { :; }
`;

async function start(dir: string, stateDir: string): Promise<Charger> {
  const at = (name: string): string => join(dir, name);
  await mkdir(at('data'), { recursive: true });
  await copyFile(TEMPLATE, at('maker'));
  await writeFile(at('maker.conf'), conf(dir));
  const text = async (name: string): Promise<string> => (await readFile(at(name), 'utf8')).trim();
  /** As the station would see it: whole, or as before. */
  const set = async (name: string, value: string): Promise<void> => {
    await writeFile(at(`${name}.new`), `${value}\n`);
    await rename(at(`${name}.new`), at(name));
  };
  const journal = await createJournal(dir);
  const images: ChargerImage[] = [];
  for (let n = 0; n < IMAGES; n += 1) {
    const bytes = randomBytes(IMAGE_BYTES);
    const path = at(`image-${n}`);
    await writeFile(path, bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    images.push({ name: `image ${n}`, path, sizeBytes: bytes.length, sha256 });
  }
  const [factory] = images;
  if (!factory) throw new Error('there is no image');
  for (const slot of ['A', 'B']) await copyFile(factory.path, at(`slot-${slot}`));
  for (const [name, value] of Object.entries({ running: 'A', next: 'A', boot: 'boot-1' })) await set(name, value);
  const held = async (slot: string): Promise<string | undefined> => {
    const bytes = await readFile(at(`slot-${slot}`));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return images.find((image) => image.sha256 === sha256)?.name;
  };
  const maker = (...words: readonly string[]): string[] => [at('maker'), ...words];
  return {
    dir,
    entry: {
      state_dir: stateDir,
      profile: 'command',
      boot_id: maker('boot-id'),
      command: {
        install: [...journal.before('install'), ...maker('install', '{image}', '{sha256}', '{operation}')],
        recover: maker('recover', '{operation}'),
        reboot: [...journal.before('reboot'), ...maker('reboot')],
        restart_everest: maker('restart-everest'),
        evidence: maker('evidence'),
      },
    },
    async image(random) {
      const there = [await held('A'), await held('B')];
      return random.pick(images.filter(({ name }) => !there.includes(name)));
    },
    async reset({ outcome, installMs, rebootMs }) {
      await set('outcome', outcome);
      // Half of it before the first byte is written, half of it after the last one.
      await set('install-s', String(installMs / 2000));
      await set('reboot-s', String(rebootMs / 1000));
      await set('next', await text('running'));
      await journal.clear();
    },
    async truth() {
      const [bootId, running, next] = await Promise.all([text('boot'), text('running'), text('next')]);
      return { bootId, running, next, holds: { A: await held('A'), B: await held('B') } };
    },
    runs: journal.runs,
    quiet: async () => {},
    isOwn: () => false,
  };
}

export const commandCharger: ChargerKind = {
  name: 'command',
  missing: () => (hasSshd() ? undefined : 'there is no sshd'),
  start: (_cleanup, dir, stateDir) => start(dir, stateDir),
};
