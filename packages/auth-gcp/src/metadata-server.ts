import { readFile } from 'node:fs/promises';
import { CountersignError, endpointFetch, type AuthServices, type EndpointFetch } from '@countersign/core';

const ADDRESS = '169.254.169.254';
const PROBE = 2000; // ms: nobody answers at that address outside of a cloud

/** The metadata server's address: GCE_METADATA_IP, GCE_METADATA_HOST, else the link-local one. */
export function metadataHost(env: AuthServices['env']): string {
  const host = env['GCE_METADATA_IP'] || env['GCE_METADATA_HOST'] || ADDRESS;
  return /^metadata(\.google\.internal\.?)?$/.test(host) ? ADDRESS : host; // the name would go through a proxy
}

/** True where Google's metadata server answers: it was named, the machine is Google's, or a short probe finds it. */
export async function metadataAvailable(services: AuthServices): Promise<boolean> {
  const { env } = services;
  const detection = env['METADATA_SERVER_DETECTION']?.trim().toLowerCase();
  if (detection === 'none' || env['NO_GCE_CHECK']?.toLowerCase() === 'true') return false;
  if (detection === 'assume-present' || metadataHost(env) !== ADDRESS) return true;
  if (env['K_SERVICE'] || env['CLOUD_RUN_JOB'] || env['FUNCTION_NAME']) return true;
  if (detection !== 'ping-only' && (await googleMachine())) return true;
  if (detection === 'bios-only') return false;
  try {
    const response = await endpointFetch(services, PROBE).fetch(`http://${ADDRESS}/`, {
      headers: { 'metadata-flavor': 'Google' },
    });
    return response.headers.get('metadata-flavor') === 'Google';
  } catch {
    return false;
  }
}

async function googleMachine(): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  return readFile('/sys/class/dmi/id/product_name', 'utf8').then(
    (name) => name.startsWith('Google'),
    () => false,
  );
}

/**
 * Asks the metadata server for one value. Not through google-auth-library: it would use the proxy of process.env for a
 * link-local address, waits without limit on Google's machines, and doesn't see .env.
 */
export async function metadata(path: string, services: AuthServices, endpoint: EndpointFetch): Promise<string> {
  const host = metadataHost(services.env);
  const response = await endpoint.fetch(new URL(`http://${host}/computeMetadata/v1/${path}`), {
    headers: { 'metadata-flavor': 'Google' },
  });
  if (response.headers.get('metadata-flavor') !== 'Google')
    throw new CountersignError('CREDENTIAL_UNAVAILABLE', `${host} is not Google's metadata server.`);
  if (!response.ok)
    throw new CountersignError('CREDENTIAL_UNAVAILABLE', `The metadata server ${host} answered ${response.status}.`, {
      status: response.status,
      remedy:
        response.status === 404
          ? 'Give the machine or service a service account.'
          : "Check the machine's service account and its access scopes.",
    });
  return response.text();
}
