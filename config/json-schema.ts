import * as z from 'zod';
import { configSchema } from './schema.ts';

/** JSON Schema of `stickshift.yaml`, for editors; ends with a newline. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input' });
  return `${JSON.stringify({ ...schema, title: 'stickshift.yaml' }, null, 2)}\n`;
}
