import type { Socket } from 'node:net';
import { asStickshiftError, StickshiftError } from '../../../protocol/errors.ts';
import {
  type AgentToApp,
  APP_LINK_MAX_LINE,
  type AppToAgent,
  type LinkAnswer,
} from '../../express-client/app-link.ts';
import { LineSplitter } from '../../express-client/line-splitter.ts';
import { parseAppMessage } from './app-message.ts';

/** Until it has said who it is, a peer may make the agent keep so many bytes. */
const MAX_HELLO = 4096;
const MAX_QUESTIONS = 10_000;
/** Bytes that wait for an app that does not read, beyond which the connection is of no use. */
const MAX_UNSENT = 4 * APP_LINK_MAX_LINE;

export type AppRequest = Exclude<AppToAgent, LinkAnswer | { t: 'hello' }>;
type AgentQuestion =
  | { t: 'capture' | 'forget'; id: string }
  | { t: 'install'; id: string; data: string; idleAt: number };

export interface AppConnectionOptions {
  /** How long the app may take to answer a question, milliseconds. */
  readonly timeout: number;
  /** Judges the first line; throws when this peer is not taken. */
  readonly onHello: (hello: Extract<AppToAgent, { t: 'hello' }>) => void;
  readonly onRequest: (request: AppRequest) => void;
  readonly onClose: (reason: string) => void;
}

/** One connection from an app: framing, and answers paired with questions. */
export class AppConnection {
  readonly #socket: Socket;
  readonly #options: AppConnectionOptions;
  readonly #open = new Map<
    number,
    { settle: (answer: LinkAnswer) => void; fail: (reason: string) => void }
  >();
  #lastNumber = 0;
  #greeted = false;
  #reason = 'the app closed the connection';

  constructor(socket: Socket, options: AppConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const lines = new LineSplitter(MAX_HELLO);
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const line of lines.push(chunk)) {
          this.#receive(line);
          lines.maxLine = APP_LINK_MAX_LINE;
        }
      } catch (error) {
        this.refuse(asStickshiftError(error, 'LINK_PROTOCOL'));
      }
    });
    socket.on('error', (error) => {
      this.#reason = error.message;
    });
    socket.on('close', () => {
      for (const { fail } of this.#open.values()) fail(this.#reason);
      this.#open.clear();
      options.onClose(this.#reason);
    });
  }

  /** Asks the app; rejects with `SOURCE_FAILED` when it does not answer in time, is gone, or answers with an error. */
  ask(question: AgentQuestion): Promise<LinkAnswer> {
    if (this.#open.size >= MAX_QUESTIONS) {
      return Promise.reject(new StickshiftError('SOURCE_FAILED', 'too many questions wait for the app'));
    }
    const n = ++this.#lastNumber;
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        this.#open.delete(n);
      };
      const fail = (reason: string) => {
        finish();
        reject(new StickshiftError('SOURCE_FAILED', `${question.t} did not reach the app: ${reason}`));
      };
      const settle = (answer: LinkAnswer) => {
        finish();
        if (answer.t !== 'error') resolve(answer);
        else {
          const refusal = `the app refused ${question.t}: ${answer.message} (${answer.code})`;
          reject(new StickshiftError('SOURCE_FAILED', refusal));
        }
      };
      // A stopped process keeps its sockets open: without a limit its agent would hang with it.
      const timer = setTimeout(fail, this.#options.timeout, `no answer in ${this.#options.timeout} ms`);
      this.#open.set(n, { settle, fail });
      this.send({ ...question, n });
    });
  }

  send(message: AgentToApp): void {
    if (this.#socket.destroyed) return;
    this.#socket.write(`${JSON.stringify(message)}\n`);
    if (this.#socket.writableLength > MAX_UNSENT) this.close('the app does not read');
  }

  close(reason: string): void {
    this.#reason = reason;
    this.#socket.destroy();
  }

  /** Tells the app why, and closes. */
  refuse(error: StickshiftError): void {
    this.#reason = error.message;
    this.send({ t: 'error', n: 0, code: error.code, message: error.publicMessage });
    this.#socket.destroySoon();
  }

  #receive(line: string): void {
    const message = parseAppMessage(line);
    if (!this.#greeted) {
      if (message?.t !== 'hello')
        throw new StickshiftError('LINK_PROTOCOL', 'the app did not say hello first');
      this.#greeted = true;
      this.#options.onHello(message);
      return;
    }
    if (!message) return;
    switch (message.t) {
      case 'hello':
        throw new StickshiftError('LINK_PROTOCOL', 'the app said hello twice');
      case 'ok':
      case 'session':
      case 'error':
        // No question: it was answered too late, and has been given up.
        this.#open.get(message.n)?.settle(message);
        return;
      default:
        this.#options.onRequest(message);
    }
  }
}
