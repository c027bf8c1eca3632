import * as z from 'zod';
import { StickshiftError } from '../protocol/errors.ts';
import type { BackendAnnouncement } from './snapshot-store.ts';

const announcementSchema = z.object({
  id: z.string().min(1),
  application: z.string().min(1),
  url: z.url(),
  agent: z.url(),
  incarnation: z.string(),
  ready: z.boolean(),
  sessions: z.number().int().nonnegative(),
});

/**
 * Reads an announcement as an adapter stored it. Fields that a newer agent added are dropped.
 *
 * @throws StickshiftError `STORE_INVALID`
 */
export function parseAnnouncement(text: string): BackendAnnouncement {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new StickshiftError('STORE_INVALID', 'an announcement is no JSON');
  }
  const result = announcementSchema.safeParse(value);
  if (!result.success) {
    throw new StickshiftError(
      'STORE_INVALID',
      `an announcement is malformed: ${z.prettifyError(result.error)}`,
    );
  }
  return result.data;
}
