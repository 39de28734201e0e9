/** True for this machine itself: localhost, 127.0.0.0/8 and ::1. Takes a URL's `hostname`. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
  );
}
