import * as z from 'zod';
import { settingFacts } from '../setting-facts.ts';
import { wait } from '../units.ts';
import { keyList } from './values.ts';

export const storeSchema = z
  .strictObject({
    url: z
      .string()
      .regex(
        /^(sqlite:.+|rediss?:\/\/.+|redis\+sentinel:\/\/.+|redis\+cluster:\/\/.+)$/,
        'expected sqlite:PATH, redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,HOST:PORT',
      )
      // It may hold a password.
      .register(settingFacts, { secret: true })
      .default('sqlite:.stickshift/sessions.sqlite')
      .describe('Where snapshots are kept. Gateways and agents of one installation share it.'),
    commandTimeout: wait('500ms').describe('How long one store command may take.'),
    settle: wait('5s', { mayBeZero: true }).describe(
      'After the store was restarted, failed over or lost data, how long no session is taken over, so that owners can write again what it forgot.',
    ),
    encryption: z
      .strictObject({ keys: keyList })
      .prefault({})
      .describe('Keys that seal snapshots (AES-256-GCM).'),
  })
  .prefault({});
