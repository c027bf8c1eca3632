import * as z from 'zod';
import { configSchema } from './schema.ts';

const LINE_WIDTH = 110;

/** JSON Schema of `stickshift.yaml`, for editors; ends with a newline. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input' });
  return `${withShortListsOnOneLine(JSON.stringify({ ...schema, title: 'stickshift.yaml' }, null, 2))}\n`;
}

/** As the repository's formatter has it, which looks at the generated file too. */
function withShortListsOnOneLine(json: string): string {
  return json.replace(/^(.*)\[\n([^[\]{}]*)\n\s*\](,?)$/gm, (original, before, items, after) => {
    const line = `${before}[${items.trim().replace(/,\n\s*/g, ', ')}]${after}`;
    return line.length <= LINE_WIDTH ? line : original;
  });
}
