/** A request as one correct reading of it must reach the app server. Fields left out are not looked at. */
export interface Forwarded {
  readonly method?: string;
  readonly target?: string;
  /** After the transfer coding is undone, one character per octet. */
  readonly body?: string;
  /** By lower-case name: every value in order, joined by `, `; `null` for a header that must not arrive. */
  readonly headers?: Readonly<Record<string, string | RegExp | null>>;
}

/**
 * One thing a client may send to make two servers disagree, or one to fall over. At least one of `refused` and
 * `forwarded` is given; with both, either is correct (the RFCs leave it open) and nothing else is.
 */
export interface HostileRequest {
  /** Continues "the gateway is not deceived by …". */
  readonly name: string;
  /** What goes over the wire, one character per octet. */
  readonly raw: string;
  /** Statuses that a refusal may have. The app server then sees no whole request. */
  readonly refused?: readonly number[];
  /** The requests that the app server must see, in order, each answered 200. */
  readonly forwarded?: readonly Forwarded[];
  /** After the forwarded requests, the rest on this connection may be refused, with one of these. */
  readonly thenRefused?: readonly number[];
  /** What goes wrong in the world when a gateway gets this wrong, or which rule applies. */
  readonly why?: string;
}

/** What no gateway may ever pass on as a request of its own: the target that corpus entries try to smuggle. */
export const SMUGGLED = '/smuggled';

/** A request head, or several parts of one, as lines that end in CRLF, with the empty line after them. */
export function head(...lines: readonly string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** The request that a smuggler hides behind another one. */
export const smuggledRequest = head(`GET ${SMUGGLED} HTTP/1.1`, 'Host: app.test');
