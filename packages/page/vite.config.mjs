/** One page, one script, one style: everything that a browser loads, with names that change with their content. */
export default {
  base: '/',
  publicDir: false,
  clearScreen: false,
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: { outDir: 'dist/page', emptyOutDir: true, target: 'es2022', assetsInlineLimit: 0, modulePreload: false },
};
