import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const pages = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root });

/** Targets of the page's links within the repository, as paths from the root, with their fragments. */
function localLinks(page: string): { file: string; fragment: string | undefined }[] {
  const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', fragment] = target.split('#');
      return { file: path === '' ? page : join(dirname(page), path), fragment };
    });
}

/** Anchors as the usual renderers make them from headings. */
function anchors(page: string): string[] {
  return [...readFileSync(join(root, page), 'utf8').matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

test('every link in the docs leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    localLinks(page)
      .filter(({ file, fragment }) => {
        if (!existsSync(join(root, file))) return true;
        return fragment !== undefined && file.endsWith('.md') && !anchors(file).includes(fragment);
      })
      .map(({ file, fragment }) => `${page} → ${file}${fragment === undefined ? '' : `#${fragment}`}`),
  );
  assert.deepEqual(broken, []);
});

test('every page in docs/ is on the docs map', () => {
  const onMap = new Set(localLinks('docs/README.md').map(({ file }) => file));
  const missing = pages.filter(
    (page) => page.startsWith('docs/') && page !== 'docs/README.md' && !onMap.has(page),
  );
  assert.deepEqual(missing, []);
});
