/** Headers that tell an application who the client is, by lower-cased name; only a trusted proxy may have set them. */
export function isClientClaim(name: string): boolean {
  return (
    name === 'forwarded' || name === 'x-real-ip' || name === 'x-forwarded' || name.startsWith('x-forwarded-')
  );
}

/**
 * The same in disguise: CGI, PHP and WSGI make one variable of X-Forwarded-For and X_Forwarded_For. No proxy sets the second
 * spelling, so one that is trusted may still be passing on what its client made up.
 */
export function isDisguisedClaim(name: string): boolean {
  return name.includes('_') && isClientClaim(name.replaceAll('_', '-'));
}
