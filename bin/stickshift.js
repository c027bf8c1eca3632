#!/usr/bin/env node
// Plain JavaScript in old syntax: whatever Node is on the PATH must get far enough to say, or to find, what is needed.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const OLDEST = 24;
const SOURCES = pathOf('../cli/main.ts');
const BUILT = pathOf('../dist/cli/main.js');
/** A checkout brings its own Node as a development dependency. */
const OWN_NODE = pathOf('../node_modules/node/bin/node');

const inCheckout = existsSync(SOURCES);
const major = Number(process.versions.node.split('.')[0]);
const runsTypeScript = Boolean(process.features.typescript);

if (major >= OLDEST && (!inCheckout || runsTypeScript)) {
  const entry = inCheckout ? SOURCES : BUILT;
  if (existsSync(entry)) import(pathToFileURL(entry).href);
  else giveUp(`this installation is incomplete: ${entry} is missing; build it with "npm run build"`);
} else if (inCheckout && existsSync(OWN_NODE)) {
  runWithOwnNode();
} else if (inCheckout) {
  giveUp(`${tooOld()} Run "npm ci" first: it brings a Node of its own.`);
} else {
  giveUp(`${tooOld()} (The session store for Express, stickshift/express, runs on this one.)`);
}

function runWithOwnNode() {
  const child = spawn(OWN_NODE, [SOURCES].concat(process.argv.slice(2)), { stdio: 'inherit' });
  // Ctrl-C reaches the whole process group; passed on, it would be the child's second one, which means "at once".
  const onTerminal = Boolean(process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY);
  const handlers = {
    SIGINT: () => {
      if (!onTerminal) child.kill('SIGINT');
    },
    SIGTERM: () => {
      child.kill('SIGTERM');
    },
    SIGHUP: () => {
      child.kill('SIGHUP');
    },
  };
  for (const signal of Object.keys(handlers)) process.on(signal, handlers[signal]);
  child.on('error', (error) => {
    giveUp(`cannot run ${OWN_NODE}: ${error.message}`);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    // Ends this process as the child ended, so that the shell sees the same.
    for (const name of Object.keys(handlers)) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

function tooOld() {
  return `this is Node ${process.versions.node}; Stickshift needs Node ${OLDEST} or newer.`;
}

function giveUp(reason) {
  process.stderr.write(`stickshift: ${reason}\n`);
  process.exitCode = 2;
}

function pathOf(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}
