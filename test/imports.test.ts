import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sourceFiles } from './runner/source-files.ts';
import { type FileImports, findCycle, importedSpecifiers, readImports } from './structure/import-graph.ts';

const root = join(import.meta.dirname, '..');
const isTest = (file: string) => file.startsWith('test/') || file.endsWith('.test.ts');
const allFiles = sourceFiles(root);
const imports = readImports(root, allFiles);
/** What ships. A test may reach for whatever it tests with. */
const product = imports.filter(({ file }) => !isTest(file));

const within = (...places: string[]) => {
  return (file: string) => places.some((place) => file === place || file.startsWith(`${place}/`));
};

/** Asserts that files of `from` import, of ours, only what `allowed` says. */
function importsOnly(from: (file: string) => boolean, allowed: (file: string) => boolean): void {
  const files = product.filter(({ file }) => from(file));
  assert.ok(files.length > 0, 'the rule applies to no file: has a folder been renamed?');
  assert.deepEqual(
    offences(files, (imported) => !allowed(imported)),
    [],
  );
}

function neverImports(from: (file: string) => boolean, forbidden: (file: string) => boolean): void {
  assert.deepEqual(
    offences(
      product.filter(({ file }) => from(file)),
      forbidden,
    ),
    [],
  );
}

function offences(files: readonly FileImports[], forbidden: (imported: string) => boolean): string[] {
  return files.flatMap(({ file, ours }) =>
    ours.filter(forbidden).map((imported) => `${file} imports ${imported}`),
  );
}

describe('imports run one way: entry point → feature → port → adapter', () => {
  test('the protocol imports nothing of ours', () => {
    importsOnly(within('protocol'), within('protocol'));
  });

  test('the configuration imports only the protocol', () => {
    importsOnly(within('config'), within('config', 'protocol'));
  });

  test('the store port imports only the protocol', () => {
    importsOnly(within('store/snapshot-store.ts'), within('protocol'));
  });

  test('the stores know nothing of gateway and agent', () => {
    importsOnly(within('store'), within('store', 'protocol', 'config', 'telemetry'));
  });

  test('what the JSON APIs share imports only the protocol and the configuration', () => {
    importsOnly(within('json-api'), within('json-api', 'protocol', 'config'));
  });

  test('telemetry imports only the protocol and the configuration', () => {
    neverImports(within('telemetry'), (file) => !within('telemetry', 'protocol', 'config')(file));
  });

  test('the gateway never imports the session agent', () => {
    neverImports(within('gateway'), within('session-agent'));
  });

  test('the session agent never imports the gateway', () => {
    neverImports(within('session-agent'), within('gateway'));
  });

  test('only what puts a gateway together knows that it may have workers', () => {
    const knows = within('gateway/workers', 'gateway/gateway.ts', 'gateway/testing');
    neverImports((file) => within('gateway')(file) && !knows(file), within('gateway/workers'));
  });

  test('what serves clients knows neither drains nor checks', () => {
    neverImports(
      within('gateway/data-plane', 'gateway/delivery', 'gateway/fast-lane', 'gateway/full-lane'),
      within('gateway/drain', 'gateway/health/health-monitor.ts', 'gateway/health/backend-watch.ts'),
    );
  });

  test('leases know nothing of sources, store and replicator', () => {
    importsOnly(
      within('session-agent/leases'),
      within('session-agent/leases', 'session-agent/ownership/within.ts', 'protocol'),
    );
  });

  test('sources do not import the replicator', () => {
    neverImports(
      within('session-agent/sources'),
      within('session-agent/replicator', 'session-agent/id-change'),
    );
  });

  test('only entry points import the command line and the demo', () => {
    const entryPoints = within('bin', 'cli', 'demo', 'bench', 'chaos', 'examples');
    neverImports((file) => !entryPoints(file), within('cli', 'demo', 'bin'));
  });

  test('what ships imports neither tests nor benchmarks', () => {
    neverImports((file) => !within('bench', 'chaos')(file), within('test', 'bench', 'chaos'));
  });

  test('the chaos checker knows nothing but histories', () => {
    importsOnly(within('chaos/checker'), within('chaos/checker', 'chaos/history', 'chaos/testing'));
  });

  test('the client inside the app imports no package', () => {
    const needed = product
      .filter(({ file }) => within('session-agent/express-client')(file))
      .flatMap(({ file, packages }) =>
        packages.filter((name) => !name.startsWith('node:')).map((name) => `${file} imports ${name}`),
      );
    assert.deepEqual(needed, []);
  });

  test('no files import each other in a circle, types apart', () => {
    assert.deepEqual(findCycle(imports), []);
  });
});

describe('names', () => {
  test('no file or folder is called utils, helpers or common', () => {
    const vague = /^(utils?|helpers?|common|misc|shared)(\.|$)/;
    assert.deepEqual(
      allFiles.filter((file) => file.split('/').some((part) => vague.test(part))),
      [],
    );
  });
});

describe('the import reader behind these rules', () => {
  test('finds imports of every form', () => {
    const source = [
      "import a from './a.ts';",
      "import { b,\n  type C } from './b.ts';",
      "import type { D } from './d.ts';",
      "export * from './e.ts';",
      "import './f.ts';",
      "const g = await import('./g.ts');",
      "new Worker(new URL('./h.ts', import.meta.url));",
    ].join('\n');
    assert.deepEqual(importedSpecifiers(source).sort(), [
      './a.ts',
      './b.ts',
      './d.ts',
      './e.ts',
      './f.ts',
      './g.ts',
      './h.ts',
    ]);
  });

  test('tells types, which are gone at run time, from the rest', () => {
    const source =
      "import type { A } from './a.ts';\nimport { type B, c } from './b.ts';\nexport type { D } from './d.ts';";
    assert.deepEqual(importedSpecifiers(source, 'at run time'), ['./b.ts']);
  });

  test('is not fooled by comments', () => {
    assert.deepEqual(importedSpecifiers("// import a from './a.ts';\n/* import b from './b.ts'; */"), []);
  });

  test('sees a circle of three files', () => {
    const circle = [
      ['a.ts', 'b.ts'],
      ['b.ts', 'c.ts'],
      ['c.ts', 'a.ts'],
    ].map(([file = '', imported = '']) => ({ file, ours: [], atRunTime: [imported], packages: [] }));
    assert.deepEqual(findCycle(circle), ['a.ts', 'b.ts', 'c.ts', 'a.ts']);
  });
});
