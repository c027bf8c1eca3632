import { ERROR_KINDS, type ErrorCode } from '../../protocol/errors.ts';

/** Proxy error types of RFC 9209, 2.3, those that we have a use for. */
type ProxyErrorType =
  | 'destination_not_found'
  | 'destination_unavailable'
  | 'connection_refused'
  | 'connection_timeout'
  | 'connection_terminated'
  | 'http_request_error'
  | 'http_request_denied'
  | 'http_response_timeout'
  | 'http_protocol_error'
  | 'proxy_configuration_error'
  | 'proxy_internal_error';

/** The registry knows nothing of sessions, stores and agents: those are all `proxy_internal_error`, and `details` tells them apart. */
const ERROR_TYPES: Partial<Record<ErrorCode, ProxyErrorType>> = {
  BAD_REQUEST: 'http_request_error',
  METHOD_REFUSED: 'http_request_denied',
  REQUEST_TIMEOUT: 'http_request_error',
  LENGTH_REQUIRED: 'http_request_error',
  HEAD_TOO_LARGE: 'http_request_error',
  NO_POOL: 'destination_not_found',
  CLIENT_ABORTED: 'http_request_error',
  UNAUTHORIZED: 'http_request_denied',
  NOT_FOUND: 'http_request_error',
  NO_BACKEND: 'destination_unavailable',
  CONNECT_FAILED: 'connection_refused',
  CONNECT_TIMEOUT: 'connection_timeout',
  BACKEND_RESET: 'connection_terminated',
  BACKEND_TIMEOUT: 'http_response_timeout',
  BACKEND_INVALID: 'http_protocol_error',
  CONFIG_INVALID: 'proxy_configuration_error',
  PORT_IN_USE: 'proxy_configuration_error',
};

const VALUES = new Map<ErrorCode, string>(
  (Object.keys(ERROR_KINDS) as ErrorCode[]).map((code) => [
    code,
    `stickshift; error=${ERROR_TYPES[code] ?? 'proxy_internal_error'}; details="${code}"`,
  ]),
);

/** The `Proxy-Status` field value (RFC 9209) for an error. Its code names nobody, and is what one looks for in logs and docs. */
export function proxyStatus(code: ErrorCode): string {
  return VALUES.get(code) as string;
}
