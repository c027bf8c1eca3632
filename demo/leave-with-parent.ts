/*
 * Preloaded into every process that the demo starts. The channel to the supervisor closes when the supervisor is gone,
 * even by SIGKILL; without this, shops and gateways would live on and hold their ports.
 */
process.on('disconnect', () => process.exit(1));
// Listening must not keep a process alive that is done.
process.channel?.unref();
