import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { LaneClock, type Waiting } from './lane-clock.ts';

/** How much later than due somebody is told at most, milliseconds. */
const LATEST_MS = 200;

/** A clock that runs while the test says so, on a machine that keeps up. */
function laneTime(t: TestContext) {
  let now = 1_000;
  t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.UTC(2026, 10, 21, 12) });
  const immediates = new Set<() => void>();
  t.mock.method(globalThis, 'setImmediate', (work: () => void) => {
    immediates.add(work);
    return work;
  });
  t.mock.method(globalThis, 'clearImmediate', (work: () => void) => immediates.delete(work));
  t.mock.method(performance, 'now', () => now);
  const start = () => {
    const clock = new LaneClock();
    clock.start();
    return clock;
  };
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed++) {
      now += 1;
      t.mock.timers.tick(1);
      for (const work of immediates) {
        immediates.delete(work);
        work();
      }
    }
  };
  /** Time in which something else keeps the machine from running its timers. */
  const stall = (ms: number) => {
    now += ms;
  };
  return { start, pass, stall, now: () => now };
}

/** Somebody who is told once, and remembers when. */
class Patient implements Waiting {
  dueAt: number;
  toldAt: number | undefined;
  readonly #clock: LaneClock;
  readonly #now: () => number;

  constructor(clock: LaneClock, ms: number, now: () => number) {
    this.#clock = clock;
    this.#now = now;
    this.dueAt = clock.in(ms);
    clock.add(this);
  }

  late(): void {
    assert.equal(this.toldAt, undefined, 'told twice');
    this.toldAt = this.#now();
    this.#clock.delete(this);
  }
}

describe('who waits in the lane', () => {
  test('is told when it has waited for too long: never early, and at most two ticks late', (t) => {
    const { start, pass, now } = laneTime(t);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 150 }), fc.nat({ max: 350 })), { minLength: 1, maxLength: 5 }),
        (waits) => {
          const clock = start();
          const all = waits.map(([pause, ms]) => {
            pass(pause);
            return { until: now() + ms, patient: new Patient(clock, ms, now) };
          });
          pass(350 + LATEST_MS);
          clock.stop();
          for (const { until, patient } of all) {
            const { toldAt } = patient;
            assert.ok(toldAt !== undefined, 'not told at all');
            assert.ok(toldAt >= until && toldAt <= until + LATEST_MS, `${toldAt - until} ms late`);
          }
        },
      ),
    );
  });

  test('is not told early either when it came while the clock was held up', (t) => {
    const { start, pass, stall, now } = laneTime(t);
    const clock = start();
    pass(150);
    stall(500);
    const until = now() + 300;
    const patient = new Patient(clock, 300, now);
    pass(300 + LATEST_MS);
    clock.stop();
    const { toldAt = 0 } = patient;
    assert.ok(toldAt >= until, `${until - toldAt} ms early`);
  });

  test('is told nothing while it waits for nothing, or once it has gone', (t) => {
    const { start, pass, now } = laneTime(t);
    const clock = start();
    const forNothing = new Patient(clock, Number.POSITIVE_INFINITY, now);
    const gone = new Patient(clock, 500, now);
    pass(300);
    clock.delete(gone);
    pass(1_000);
    assert.deepEqual([forNothing.toldAt, gone.toldAt], [undefined, undefined]);
    clock.stop();
  });

  test('is told again as long as it stays due', (t) => {
    const { start, pass } = laneTime(t);
    const clock = start();
    let told = 0;
    const waiting = {
      dueAt: clock.in(0),
      late: () => {
        told += 1;
        if (told === 2) waiting.dueAt = Number.POSITIVE_INFINITY;
      },
    };
    clock.add(waiting);
    pass(1_000);
    assert.equal(told, 2);
    clock.stop();
  });

  test('may take others out, and put others in, when it is told', (t) => {
    const { start, pass, now } = laneTime(t);
    const clock = start();
    const told: string[] = [];
    const neighbour = { dueAt: clock.in(0), late: () => told.push('neighbour') };
    let follower: Patient | undefined;
    const first = {
      dueAt: clock.in(0),
      late: () => {
        told.push('first');
        clock.delete(first);
        clock.delete(neighbour);
        follower = new Patient(clock, 300, now);
      },
    };
    clock.add(first);
    clock.add(neighbour);
    pass(200);
    assert.equal(follower?.toldAt, undefined);
    pass(300 + LATEST_MS);
    assert.deepEqual(told, ['first']);
    assert.notEqual(follower?.toldAt, undefined);
    clock.stop();
  });

  test('is not told after a standstill before what has arrived meanwhile could be read', (t) => {
    const { start, pass, stall, now } = laneTime(t);
    const clock = start();
    const patient = new Patient(clock, 300, now);
    pass(150);
    stall(500);
    t.mock.timers.tick(100);
    assert.equal(patient.toldAt, undefined, 'the timers of the process run first');
    patient.dueAt = clock.in(300);
    pass(250);
    assert.equal(patient.toldAt, undefined);
    pass(50 + LATEST_MS);
    assert.notEqual(patient.toldAt, undefined);
    clock.stop();
  });

  test('is told nothing by a clock that has stopped', (t) => {
    const { start, pass, now } = laneTime(t);
    const clock = start();
    const patient = new Patient(clock, 100, now);
    pass(50);
    t.mock.timers.tick(50);
    clock.stop();
    pass(1_000);
    assert.equal(patient.toldAt, undefined);
  });
});

describe('the date for a header', () => {
  test('is that of the second that it is', (t) => {
    const { start, pass } = laneTime(t);
    const clock = start();
    for (let step = 0; step < 40; step++) {
      assert.equal(clock.date, new Date(Math.floor(Date.now() / 1_000) * 1_000).toUTCString());
      pass(77);
    }
    clock.stop();
  });

  test('follows the system’s clock when that is set back', (t) => {
    const { start, pass } = laneTime(t);
    const clock = start();
    assert.equal(clock.date, 'Sat, 21 Nov 2026 12:00:00 GMT');
    t.mock.timers.setTime(Date.UTC(2026, 10, 21, 11));
    pass(1_000);
    assert.equal(clock.date, 'Sat, 21 Nov 2026 11:00:01 GMT');
    clock.stop();
  });
});
