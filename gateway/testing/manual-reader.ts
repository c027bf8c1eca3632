import { MetricReader } from '@opentelemetry/sdk-metrics';

/** Collects metrics when a test says so. */
export class ManualReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {
    // There is nothing to close.
  }

  protected override async onForceFlush(): Promise<void> {
    // There is nothing to flush.
  }
}
