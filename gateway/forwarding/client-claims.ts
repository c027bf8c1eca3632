/** Headers that tell an application who the client is; only a trusted proxy may have set them. */
export function isForwardingHeader(name: string): boolean {
  switch (name.charCodeAt(0)) {
    case 0x66: // f
      return name === 'forwarded';
    case 0x78: // x
      return isForwardingExtension(name.includes('_') ? name.replaceAll('_', '-') : name);
    default:
      return false;
  }
}

// CGI, PHP and WSGI make one variable of X-Forwarded-For and X_Forwarded_For, so the second spelling is the same claim.
function isForwardingExtension(name: string): boolean {
  return name.startsWith('x-forwarded-') || name === 'x-forwarded' || name === 'x-real-ip';
}
