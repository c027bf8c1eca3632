import { trace } from '@opentelemetry/api';
import { asStickshiftError } from '../../protocol/errors.ts';
import { SPAN } from '../../protocol/telemetry-names.ts';

const tracer = trace.getTracer('stickshift');

/** Shows in the trace of a move how much of it was the store. */
export function inStoreSpan<T>(operation: () => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(SPAN.storeRead, async (span) => {
    try {
      return await operation();
    } catch (error) {
      span.recordException(asStickshiftError(error));
      throw error;
    } finally {
      span.end();
    }
  });
}
