import { spawnSync } from 'node:child_process';
import { cpSync, globSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * Makes `dist/`, which is what the published package runs: Node does not strip types below node_modules. What
 * `cli/main.ts` reaches becomes ES modules, the session store for Express becomes CommonJS, which an app of any age can load.
 */
const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');
/** Read at run time from beside the module that needs them. */
const ASSETS = '{config,gateway,protocol,session-agent,store,telemetry}/**/*.{lua,sql}';

rmSync(dist, { recursive: true, force: true });
compile('tsconfig.build.json');
compile('session-agent/express-client/tsconfig.json');
// The package as a whole is of ES modules.
writeFileSync(join(dist, 'express-client', 'package.json'), '{ "type": "commonjs" }\n');
for (const asset of globSync(ASSETS, { cwd: root })) cpSync(join(root, asset), join(dist, asset));

function compile(project: string): void {
  const compiler = join(root, 'node_modules', '.bin', 'tsc');
  const { status } = spawnSync(compiler, ['-p', project], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
