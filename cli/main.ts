import { runCli } from './program.ts';
import { processTerminal } from './terminal.ts';

// `stickshift status | head` closes the pipe early, which is nobody's fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

/** How long what is still open when the command is done may keep the process, milliseconds. */
const LINGER_MS = 2_000;

process.exitCode = await runCli(process.argv.slice(2), processTerminal());
// Not at once: what is on its way to a pipe would be cut off.
setTimeout(() => process.exit(), LINGER_MS).unref();
