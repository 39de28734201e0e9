import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { generate } from 'selfsigned';

/** @typedef {{ readonly cert: string, readonly key: string, readonly certFile: string, readonly keyFile: string }} Certificate PEM text, and the files that hold it. */
/** @typedef {Awaited<ReturnType<typeof createAuthority>>} Authority */

const DAY = 24 * 60 * 60_000;
const LOCAL = ['localhost', '127.0.0.1', '::1'];

/**
 * Makes a certificate authority for tests, with its PEM files in a temporary folder (`close` removes it): issues certificates for any host, and the
 * faulty ones that a client must refuse.
 */
export async function createAuthority() {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-authority-'));
  const root = await certify({ name: 'Countersign test authority', ca: true });
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, root.cert);
  /** @type {Map<string, Promise<Certificate>>} */
  const issued = new Map();
  let number = 0;

  /** @param {{ cert: string, key: string }} pair @returns {Promise<Certificate>} */
  async function kept(pair) {
    const stem = join(folder, String(++number));
    await Promise.all([writeFile(`${stem}.crt`, pair.cert), writeFile(`${stem}.key`, pair.key, { mode: 0o600 })]);
    return { ...pair, certFile: `${stem}.crt`, keyFile: `${stem}.key` };
  }

  /** A server certificate for these hosts (names or addresses), the same one each time. @param {...string} hosts */
  function certificate(...hosts) {
    const id = hosts.join(' ');
    let leaf = issued.get(id);
    if (leaf === undefined) issued.set(id, (leaf = certify({ name: 'server', hosts, issuer: root }).then(kept)));
    return leaf;
  }

  return {
    /** The root's PEM text, and the file that holds it: for `ca` and NODE_EXTRA_CA_CERTS. */
    ca: root.cert,
    caFile,
    folder,
    certificate,
    /** One that ended yesterday. @param {...string} hosts */
    expired: async (...hosts) => kept(await certify({ name: 'server', hosts, issuer: root, days: [-30, -1] })),
    /** One that nobody vouches for. @param {...string} hosts */
    selfSigned: async (...hosts) => kept(await certify({ name: 'server', hosts })),
    /** A client's certificate, for mTLS. @param {string} commonName */
    client: async (commonName) => kept(await certify({ name: commonName, issuer: root, client: true })),
    /**
     * What `https.createServer` takes to serve any host by its TLS server name, or only the certificate given.
     * @param {{ certificate?: Certificate, clientCertificates?: 'asked' | 'required' }} [options]
     * @returns {Promise<import('node:https').ServerOptions>}
     */
    async serverOptions({ certificate: only, clientCertificates } = {}) {
      const { cert, key } = only ?? (await certificate(...LOCAL));
      const ca = root.cert;
      /** @type {import('node:https').ServerOptions} */
      const options = {
        cert,
        key,
        ca,
        requestCert: clientCertificates !== undefined,
        rejectUnauthorized: clientCertificates === 'required',
      };
      if (only === undefined) {
        options.SNICallback = (servername, done) => {
          const names = LOCAL.includes(servername) ? LOCAL : [servername];
          certificate(...names).then(
            (leaf) => done(null, createSecureContext({ cert: leaf.cert, key: leaf.key, ca })),
            done,
          );
        };
      }
      return options;
    },
    /** Removes the folder. */
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

/** @param {{ name: string, hosts?: string[], issuer?: { cert: string, key: string }, ca?: boolean, client?: boolean, days?: [number, number] }} subject */
async function certify({ name, hosts = [], issuer, ca = false, client = false, days = [-1, 30] }) {
  /** @type {any[]} */
  const extensions = [
    { name: 'basicConstraints', cA: ca, critical: true },
    ca
      ? { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true }
      : { name: 'keyUsage', digitalSignature: true, critical: true },
  ];
  if (!ca) extensions.push({ name: 'extKeyUsage', serverAuth: !client, clientAuth: client });
  if (hosts.length > 0)
    extensions.push({
      name: 'subjectAltName',
      altNames: hosts.map((host) => (isIP(host) ? { type: 7, ip: host } : { type: 2, value: host })),
    });
  const [from, to] = days;
  const pair = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() + from * DAY),
    notAfterDate: new Date(Date.now() + to * DAY),
    extensions,
    ...(issuer === undefined ? {} : { ca: { cert: issuer.cert, key: issuer.key } }),
  });
  return { cert: pair.cert, key: pair.private };
}
