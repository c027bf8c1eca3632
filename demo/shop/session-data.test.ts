import assert from 'node:assert/strict';
import { test } from 'node:test';
import { continueJourney } from './session-data.ts';

test('a journey that stays where it is remains the same array', () => {
  const journey = [{ server: 'app-1', since: 1 }];
  assert.equal(continueJourney(journey, 'app-1', 2), journey);
});

test('a journey keeps its beginning and its latest stops, however long it gets', () => {
  let journey: ReturnType<typeof continueJourney> = [];
  for (let stop = 0; stop < 100; stop++) journey = continueJourney(journey, `app-${stop % 3}`, stop);
  assert.equal(journey.length, 20);
  assert.deepEqual(journey[0], { server: 'app-0', since: 0 });
  assert.deepEqual(journey.at(-1), { server: 'app-0', since: 99 });
});
