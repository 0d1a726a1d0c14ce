/** `npm run bundle`: both programs with everything that they import, as the image has them, into dist/bundle/. */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const ROOT = resolve(import.meta.dirname, '..');

/** The CommonJS packages among the dependencies look for `require`, which a module does not have. */
const REQUIRE = "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);";

/** Replaces `folder` by kubelet-bootstrap.mjs, bootstrap-token.mjs, the chunks that they share, and source maps. */
export async function bundle(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await build({
    absWorkingDir: ROOT,
    // The name of the file decides which program it is: src/main.ts.
    entryPoints: { 'kubelet-bootstrap': 'src/main.ts', 'bootstrap-token': 'src/bootstrap-token.ts' },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    banner: { js: REQUIRE },
    sourcemap: 'linked',
    logLevel: 'warning',
  });
}

if (import.meta.main) await bundle(join(ROOT, 'dist', 'bundle'));
