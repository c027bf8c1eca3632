import type { TlsOptions } from 'node:tls';
import type { TlsConfig } from '../../config/schema.ts';
import type { Certificates } from './certificates.ts';

/**
 * Options of a server that speaks TLS.
 *
 * @param handshakeTimeoutMs - by then a client must have completed its handshake
 */
export function tlsOptions(
  tls: TlsConfig,
  certificates: Certificates,
  handshakeTimeoutMs: number,
): TlsOptions {
  return {
    ...certificates.default.options,
    SNICallback: (host, answer) => answer(null, certificates.for(host).context),
    // Without a protocol in common OpenSSL ends the handshake (RFC 7301, 3.2); a client that offers none gets HTTP/1.1.
    ALPNProtocols: tls.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    handshakeTimeout: handshakeTimeoutMs,
  };
}
