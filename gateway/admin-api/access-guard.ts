import type { IncomingMessage } from 'node:http';
import { bearerCheck } from '../../json-api/bearer-check.ts';
import { StickshiftError } from '../../protocol/errors.ts';

const LOOPBACK_HOST = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;

/**
 * Decides who may use the admin API: whoever has the token, or, when none is configured, whoever is on this machine.
 * Returns a function that throws `UNAUTHORIZED` for everybody else.
 *
 * @throws StickshiftError `CONFIG_INVALID` when the API would be open to the network
 */
export function accessGuard(options: {
  token: string | undefined;
  /** It listens on a loopback address only. */
  loopback: boolean;
}): (request: IncomingMessage) => void {
  const { token, loopback } = options;
  if (token !== undefined) {
    const mayEnter = bearerCheck(token);
    return (request) => {
      if (!mayEnter(request.headers.authorization)) {
        throw new StickshiftError('UNAUTHORIZED', 'a valid bearer token is needed');
      }
    };
  }
  if (!loopback) {
    throw new StickshiftError(
      'CONFIG_INVALID',
      'gateway.admin.token is needed where gateway.admin.listen is not a loopback address',
    );
  }
  return refuseBrowsers;
}

/**
 * Without a token, being on this machine is the credential, and a web page in a browser on this machine must not borrow it.
 * A page of another site gives itself away by `Origin` or `Sec-Fetch-Site`. One whose name was made to resolve to the loopback
 * address (DNS rebinding) counts as the same site, but its name stands in `Host`.
 */
function refuseBrowsers(request: IncomingMessage): void {
  const { host, origin } = request.headers;
  if (host === undefined || !LOOPBACK_HOST.test(host)) {
    throw new StickshiftError('UNAUTHORIZED', 'without a token, Host has to be a loopback address');
  }
  const site = request.headers['sec-fetch-site'];
  const isForeign = site !== undefined && site !== 'same-origin' && site !== 'none';
  if (isForeign || (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`)) {
    throw new StickshiftError('UNAUTHORIZED', 'web pages of other origins need a token');
  }
}
