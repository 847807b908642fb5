/** `npm run clean`: remove what the compiler made. Data (var/) and packages stay. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolders } from './prepare.mjs';

for (const folder of packageFolders()) rmSync(join(folder, 'dist'), { recursive: true, force: true });
