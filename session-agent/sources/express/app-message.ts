import { StickshiftError } from '../../../protocol/errors.ts';
import type { AppToAgent } from '../../express-client/app-link.ts';

/** Longest session ID, characters. Frameworks use 20 to 130. */
const MAX_ID = 1024;

type Fields = Record<string, unknown>;

const isId = (value: unknown) => typeof value === 'string' && value.length > 0 && value.length <= MAX_ID;
const isIds = (value: unknown) => Array.isArray(value) && value.every(isId);
const isTime = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0;
const isNumber = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
const isText = (value: unknown) => typeof value === 'string';

/** What each message must look like. */
const SHAPES: Readonly<Record<AppToAgent['t'], (fields: Fields) => boolean>> = {
  hello: ({ version, token }) => isNumber(version) && (token === undefined || isText(token)),
  have: ({ ids, last }) => isIds(ids) && typeof last === 'boolean',
  set: ({ n, id, data, idleAt }) => isNumber(n) && isId(id) && isText(data) && isTime(idleAt),
  touch: ({ id, idleAt }) => isId(id) && isTime(idleAt),
  expired: ({ ids }) => isIds(ids),
  destroy: ({ n, id }) => isNumber(n) && isId(id),
  replace: ({ n, id, successor }) => isNumber(n) && isId(id) && isId(successor),
  load: ({ n, id }) => isNumber(n) && isId(id),
  ok: ({ n }) => isNumber(n),
  session: ({ n, data, idleAt }) => isNumber(n) && (data === null || isText(data)) && isTime(idleAt),
  error: ({ n, code, message }) => isNumber(n) && isText(code) && isText(message),
};

/**
 * Reads one line from an app. `undefined`: a kind of message that this agent does not know, to be ignored.
 * Throws `LINK_PROTOCOL` for anything that is not a message; the text never quotes it, since it may hold a session.
 */
export function parseAppMessage(line: string): AppToAgent | undefined {
  let fields: Fields;
  try {
    fields = JSON.parse(line);
  } catch {
    throw new StickshiftError('LINK_PROTOCOL', 'the app sent a line that is not JSON');
  }
  if (typeof fields !== 'object' || fields === null || typeof fields.t !== 'string') {
    throw new StickshiftError('LINK_PROTOCOL', 'the app sent a line that is not a message');
  }
  if (!Object.hasOwn(SHAPES, fields.t)) return undefined;
  const kind = fields.t as AppToAgent['t'];
  if (!SHAPES[kind](fields)) {
    throw new StickshiftError('LINK_PROTOCOL', `the app sent a malformed ${kind} message`);
  }
  return fields as unknown as AppToAgent;
}
