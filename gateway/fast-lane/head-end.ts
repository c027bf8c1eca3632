export const END_OF_HEAD = '\r\n\r\n';

/** Whether waiting for the rest of a head is worthwhile: not with a bare CR, a bare LF or a NUL in what there is of it. */
export function mayBecomeHead(text: string): boolean {
  return !/(?:^|[^\r])\n|\r(?!\n|$)|\0/.test(text);
}
