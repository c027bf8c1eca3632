import * as z from 'zod';
import { splitAddress } from '../listen-address.ts';
import { settingFacts } from '../setting-facts.ts';

export const name = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'expected a name of lower-case letters, digits, dots, dashes (at most 63)',
  );

export const httpUrl = z.url({ protocol: /^http$/, error: 'expected an http:// URL' });

export const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:[\]/]+):\d{1,5}$/, {
    error: 'expected host:port, such as 127.0.0.1:8080',
    abort: true,
  })
  .refine((text) => splitAddress(text).port <= 65_535, 'expected a port up to 65535');

export const listen = (fallback: string, what: string) => address.default(fallback).describe(what);

export const keyList = z
  .array(z.string().min(16, 'expected at least 16 characters'))
  .min(1, 'expected at least one key')
  .register(settingFacts, { secret: true })
  .optional()
  .describe('Rotation list: the first is used, all are accepted. Default: derived from `secret`.');
