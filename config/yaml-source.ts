import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import { ConfigError, type Origin, type SettingPath } from './problems.ts';

/** A YAML file that remembers where everything stands in it. */
export interface YamlSource {
  /** Plain values, as the file has them. */
  readonly values: unknown;
  /** Position of a setting's key, or of the nearest section around it that the file has. */
  locate(path: SettingPath): Origin;
}

/**
 * @param file - name of the file for messages
 * @throws ConfigError with the position of each syntax error
 */
export function readYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const position = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };

  const faults = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    throw new ConfigError(
      faults.map((fault) => ({
        origin: position(fault.pos[0]),
        key: '',
        message:
          fault.code === 'DUPLICATE_KEY' ? duplicateKey(text, fault.pos[0]) : `not YAML: ${fault.message}`,
      })),
    );
  }
  return {
    values: valuesOf(document, position),
    locate: (path) => position(offsetOf(document, path)),
  };
}

/** Two backends of one ID, most often: the second would take the place of the first. */
function duplicateKey(text: string, offset: number): string {
  const [key = 'this key'] = /^(?:"[^"]*"|'[^']*'|[^\s:,{}[\]]+)/.exec(text.slice(offset)) ?? [];
  return `${key} stands in this section already; each name may stand there once`;
}

function valuesOf(document: Document, position: (offset: number) => Origin): unknown {
  try {
    // An empty file is an empty configuration.
    return document.toJS() ?? {};
  } catch (error) {
    // Aliases that expand without bound, or that point nowhere, show only now.
    const message = error instanceof Error ? error.message : String(error);
    throw new ConfigError([{ origin: position(0), key: '', message: `not YAML: ${message}` }]);
  }
}

function offsetOf(document: Document, path: SettingPath): number {
  let offset = startOf(document.contents) ?? 0;
  let node: unknown = document.contents;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (!pair) return offset;
      offset = (isNode(pair.key) ? startOf(pair.key) : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = (isNode(node) ? startOf(node) : undefined) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function startOf(node: Node | null): number | undefined {
  return node?.range?.[0];
}
