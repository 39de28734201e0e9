import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { testAuthProvider } from '@countersign/testing';
import { awsSigV4 } from '@countersign/test-servers';
import sigV4 from '../src/index.js';
import { KEY, SECRET, TOKEN, type AwsKey } from './setting.js';

describe('the provider of signatures keeps the contract', () => {
  testAuthProvider(test, {
    plugin: sigV4,
    async scenario() {
      const folder = await mkdtemp(join(tmpdir(), 'sigv4-'));
      const file = join(folder, 'credentials');
      const keys = new Map<string, AwsKey>();
      const verify = awsSigV4({ keys, region: 'us-east-1', service: 'service' });
      const issue = async (token: string): Promise<void> => {
        keys.set(KEY, { secretAccessKey: SECRET, sessionToken: token });
        await writeFile(
          file,
          `[default]\naws_access_key_id = ${KEY}\naws_secret_access_key = ${SECRET}\naws_session_token = ${token}\n`,
        );
      };
      await issue(TOKEN);
      return {
        options: { service: 'service', region: 'us-east-1' },
        env: {
          AWS_SHARED_CREDENTIALS_FILE: file,
          AWS_CONFIG_FILE: join(folder, 'config'),
          AWS_EC2_METADATA_DISABLED: 'true',
        },
        secrets: [SECRET, TOKEN],
        async accepts({ method, url, headers, body }) {
          const head = {
            method,
            path: url.pathname + url.search,
            headers,
            rawHeaders: Object.entries(headers).flat(),
            time: new Date(),
          };
          return (await verify(head as never, Buffer.from(body))) === undefined;
        },
        revoke: () => issue(`${TOKEN}/again`),
        cutOff: () => rm(file, { force: true }),
        dispose: () => rm(folder, { recursive: true, force: true }),
      };
    },
  });
});
