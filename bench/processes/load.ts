import { endProcess, nextMessage, startModule } from './child-process.ts';

export interface LoadRequest {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  /** Answered with 200. */
  readonly requests: number;
  /** Answered otherwise, or not at all. */
  readonly errors: number;
  /** How long it really took. */
  readonly seconds: number;
  readonly p50Millis: number;
  readonly p99Millis: number;
}

/** Sends requests from a process of its own, so that its work is not counted as anybody else's. */
export async function generateLoad(request: LoadRequest): Promise<LoadResult> {
  const { child } = await startModule('load.main.ts');
  try {
    const result = nextMessage(child);
    child.send(request);
    return (await result) as LoadResult;
  } finally {
    await endProcess(child);
  }
}
