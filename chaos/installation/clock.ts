/*
 * Preloaded into processes whose clock a run may step: `{ clockOffsetMs }` from the supervisor shifts what `Date` says
 * from then on. Monotonic clocks and timers go on as they are, as on a machine whose wall clock is set.
 */
const RealDate = Date;
let offsetMs = 0;

class SteppedDate extends RealDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(RealDate.now() + offsetMs);
    else super(...(args as [number]));
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

globalThis.Date = SteppedDate as DateConstructor;

/** A clock is the whole machine's: workers of the process have the same. */
const threads = new BroadcastChannel('clock');
threads.onmessage = (event) => {
  offsetMs = Number((event as MessageEvent).data);
};

process.on('message', (message) => {
  if (typeof message === 'object' && message !== null && 'clockOffsetMs' in message) {
    offsetMs = Number(message.clockOffsetMs);
    threads.postMessage(offsetMs);
  }
});
// Listening must not keep a process alive that is done.
process.channel?.unref();
threads.unref();
