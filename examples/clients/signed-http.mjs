// Not only MCP: any HTTP API behind AWS IAM, with plain fetch. The guard recomputes each signature, and takes none twice.
import awsSigV4 from '@countersign/auth-aws-sigv4';
import { createCountersign } from '@countersign/core';
import { awsSigV4 as verifySigV4, json, startGuard } from '@countersign/test-servers';

const [id, secretAccessKey] = ['AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'];
const verify = verifySigV4({
  keys: new Map([[id, { secretAccessKey }]]),
  region: 'eu-west-1',
  service: 'execute-api',
  once: true,
});
const api = await startGuard({
  verify: async (head, body) => (await verify(head, body)) ?? json(200, { accepted: body.toString() }),
});
const app = await createCountersign({
  plugins: [awsSigV4],
  servers: { api: { url: api.origin, auth: { method: 'aws-sigv4', service: 'execute-api', region: 'eu-west-1' } } },
  env: { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secretAccessKey },
});

const fetch = app.fetch('api');
for (const path of ['/items?b=2&a=1', '/items/sp%20ace', '/items']) {
  const response = await fetch(`${api.origin}${path}`, { method: 'POST', body: JSON.stringify({ path }) });
  console.log(response.status, await response.text());
  if (!response.ok) process.exitCode = 1;
}
await app.close();
await api.close();
