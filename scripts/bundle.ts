/** `npm run bundle`: both programs with everything that they import, as the image has them, into dist/bundle/. */
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';

const ROOT = resolve(import.meta.dirname, '..');

/** The CommonJS packages among the dependencies look for `require`, which a module does not have. */
const REQUIRE = "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);";

const CLIENT_NODE = '@kubernetes/client-node';

/**
 * Of client-node little more than the reading of kubeconfigs is used; that its modules do nothing when they are loaded is
 * not said in its package.json, and so all its models would be in the bundle, and in memory.
 */
const WITHOUT_MODELS: Plugin = {
  name: 'without-models',
  setup: (esbuild) => {
    esbuild.onResolve({ filter: /^(@kubernetes\/client-node$|\.)/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === CLIENT_NODE || (path !== CLIENT_NODE && !from.importer.includes(CLIENT_NODE)))
        return undefined;
      const { kind, importer, resolveDir, with: attributes } = from;
      const found = await esbuild.resolve(path, {
        kind,
        importer,
        resolveDir,
        with: attributes,
        pluginData: CLIENT_NODE,
      });
      return { ...found, sideEffects: false };
    });
  },
};

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
    plugins: [WITHOUT_MODELS],
    // The text of a program stays in memory while it runs; one character beyond Latin-1, of a comment, doubles it. Names
    // and lines are kept for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    charset: 'ascii',
    legalComments: 'linked',
    sourcemap: 'linked',
    logLevel: 'warning',
  });
}

if (import.meta.main) await bundle(join(ROOT, 'dist', 'bundle'));
