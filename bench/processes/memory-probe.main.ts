// Loaded into a service before its own code, which knows nothing of it.
process.on('message', () => {
  globalThis.gc?.();
  process.send?.(process.memoryUsage());
});
// The service shall end when it is done, and not wait for questions.
process.channel?.unref();
