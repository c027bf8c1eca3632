import type { Socket } from 'node:net';

/** What one direction of a link does to bytes. A black hole keeps them, as TCP would, until it is gone. */
export type Trouble = 'none' | 'black-hole' | { readonly delayMs: number };

interface Item {
  readonly due: number;
  /** `end`: no more bytes will come; `reset`: the connection is gone. They travel like bytes do. */
  readonly what: Buffer | 'end' | 'reset';
}

/** Bytes under way in one pipe, beyond which its source is made to wait. */
const MOST_UNDER_WAY = 1_048_576;

/**
 * Ends a connection as the death of its process would. One that has sent its end already is only closed: a reset at that
 * moment leaves Node with a request that never completes, and the process spinning when it is to exit.
 */
export function drop(socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** One direction of one connection: carries bytes, ends and resets in order, late or not at all. */
export class Pipe {
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #observe: (bytes: Buffer) => void;
  readonly #queue: Item[] = [];
  #trouble: Trouble;
  #queuedBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Socket, target: Socket, trouble: Trouble, observe: (bytes: Buffer) => void) {
    this.#source = source;
    this.#target = target;
    this.#trouble = trouble;
    this.#observe = observe;
    source.on('data', (bytes: Buffer) => this.#carry(bytes));
    source.on('end', () => this.#enqueue({ what: 'end', due: this.#due() }));
    source.on('close', (hadError) => {
      // Otherwise its end has been passed on already, and it closed because both sides had ended.
      if (hadError) this.#enqueue({ what: 'reset', due: this.#due() });
    });
    target.on('drain', () => this.#relieve());
  }

  set trouble(trouble: Trouble) {
    this.#trouble = trouble;
    this.#pump();
  }

  discard(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #carry(bytes: Buffer): void {
    this.#observe(bytes);
    this.#queuedBytes += bytes.length;
    this.#enqueue({ what: bytes, due: this.#due() });
    if (this.#queuedBytes > MOST_UNDER_WAY || this.#target.writableNeedDrain) this.#source.pause();
  }

  #due(): number {
    return typeof this.#trouble === 'object' ? performance.now() + this.#trouble.delayMs : 0;
  }

  #enqueue(item: Item): void {
    this.#queue.push(item);
    if (this.#queue.length === 1) this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    while (this.#trouble !== 'black-hole') {
      const item = this.#queue[0];
      if (item === undefined) return;
      const wait = item.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#pump(), wait);
        return;
      }
      this.#queue.shift();
      this.#deliver(item);
    }
  }

  #deliver({ what }: Item): void {
    if (what === 'reset') {
      drop(this.#target);
    } else if (what === 'end') {
      this.#target.end();
    } else {
      this.#queuedBytes -= what.length;
      if (!this.#target.destroyed && !this.#target.writableEnded) this.#target.write(what);
      this.#relieve();
    }
  }

  #relieve(): void {
    if (this.#queuedBytes <= MOST_UNDER_WAY && !this.#target.writableNeedDrain) this.#source.resume();
  }
}
