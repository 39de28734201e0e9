import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import type { AuthProvider, Clock, OutgoingRequest } from '@countersign/core';
import { json, open, plugin, startServer } from './support.js';

const post = (body: unknown = { jsonrpc: '2.0', id: 1, method: 'tools/call' }): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify(body),
});

/** A provider with a numbered token, renewed by `challenge`. */
function rotating(log: string[] = [], renew: () => Promise<boolean> = async () => true) {
  let token = 1;
  return plugin('rotating', (): AuthProvider => ({
    authorize: ({ headers }) => headers.set('authorization', `Bearer token-number-${token}`),
    async challenge({ request, response, challenges, ...context }) {
      log.push(
        `${response.status} ${request.headers.get('authorization')} ${challenges[0]?.scheme} ${await context.body(5)}`,
      );
      const renewed = await renew();
      if (renewed) token++;
      return renewed;
    },
  }));
}

describe('challenges', () => {
  test('a 401 is renewed and the request sent again, from its pristine copy', async () => {
    const log: string[] = [];
    const { url, received } = await startServer(({ headers }, response) =>
      headers.authorization === 'Bearer token-number-2'
        ? json(response, 200, { ok: 1 })
        : json(response, 401, { error: 'x' }, { 'www-authenticate': 'Bearer realm="r"' }),
    );
    const app = await open({ plugins: [rotating(log)], servers: { s: { url, auth: { method: 'rotating' } } } });
    const response = await app.fetch('s')(url, post());
    expect([response.status, await response.json(), received.length, received[1]?.body]).toEqual([
      200,
      { ok: 1 },
      2,
      received[0]?.body,
    ]);
    expect(log).toEqual(['401 Bearer token-number-1 bearer {"err']);
  });

  test('ten concurrent 401s make one renewal, and a late one for the old credential none', async () => {
    const log: string[] = [];
    const held: (() => void)[] = [];
    const { url, received } = await startServer(({ headers, path }, response) => {
      const answer = () => json(response, headers.authorization === 'Bearer token-number-1' ? 401 : 200, {});
      if (path === '/mcp?late' && headers.authorization === 'Bearer token-number-1') held.push(answer);
      else answer();
    });
    const app = await open({
      plugins: [rotating(log, () => new Promise((resolve) => setImmediate(() => resolve(true))))],
      servers: { s: { url, auth: { method: 'rotating' } } },
    });
    const late = app.fetch('s')(`${url}?late`, post());
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async () => (await app.fetch('s')(url, post())).status),
    );
    held.forEach((answer) => answer());
    expect([statuses, (await late).status, log.length]).toEqual([Array(10).fill(200), 200, 1]);
    expect(received.filter(({ headers }) => headers.authorization === 'Bearer token-number-3')).toHaveLength(0);
  });

  test('ends, when the server never accepts: two renewals, then the response, whole', async () => {
    const log: string[] = [];
    const text = 'x'.repeat(100_000);
    const { url, received } = await startServer((_, response) => response.writeHead(401).end(text));
    const app = await open({ plugins: [rotating(log)], servers: { s: { url, auth: { method: 'rotating' } } } });
    const response = await app.fetch('s')(url, post());
    expect([response.status, (await response.text()) === text, received.length, log.length]).toEqual([401, true, 3, 2]);
  });

  test('a provider that renews nothing leaves the caller the whole body, though it read some of it', async () => {
    const text = JSON.stringify({ error: 'y'.repeat(200_000) });
    const { url } = await startServer((_, response) =>
      response.writeHead(403, { 'content-type': 'application/json' }).end(text),
    );
    const app = await open({
      plugins: [rotating([], async () => false)],
      servers: { s: { url, auth: { method: 'rotating' } } },
    });
    const response = await app.fetch('s')(url, post());
    expect([response.status, (await response.text()).length]).toEqual([403, text.length]);
  });

  test('the abort of one waiter does not abort the renewal that others wait for', async () => {
    let finish: (() => void) | undefined;
    let asked: (() => void) | undefined;
    const begun = new Promise<void>((resolve) => (asked = resolve));
    const { url } = await startServer(({ headers }, response) =>
      json(response, headers.authorization === 'Bearer token-number-1' ? 401 : 200, {}),
    );
    const renew = () => {
      asked?.();
      return new Promise<boolean>((resolve) => (finish = () => resolve(true)));
    };
    const app = await open({ plugins: [rotating([], renew)], servers: { s: { url, auth: { method: 'rotating' } } } });
    const controller = new AbortController();
    const first = app.fetch('s')(url, { ...post(), signal: controller.signal });
    await begun;
    const second = app.fetch('s')(url, post());
    controller.abort();
    await expect(first).rejects.toMatchObject({ name: 'AbortError' });
    finish?.();
    expect((await second).status).toBe(200);
  });

  test('every provider of the chain is asked, and one that renews is enough', async () => {
    const asked: string[] = [];
    const make = (type: string, answer: boolean) =>
      plugin(type, () => ({
        authorize: ({ headers }: OutgoingRequest) => headers.set(`x-${type}`, 'a'),
        challenge: async () => (asked.push(type), answer),
      }));
    const { url } = await startServer((_, response, ordinal) => json(response, ordinal === 1 ? 401 : 200, {}));
    const app = await open({
      plugins: [make('one', true), make('two', false)],
      servers: { s: { url, auth: [{ method: 'one' }, { method: 'two' }] } },
    });
    expect([(await app.fetch('s')(url, post())).status, asked]).toEqual([200, ['one', 'two']]);
  });

  test('status counts what was sent and refused', async () => {
    const { url } = await startServer((_, response, ordinal) => json(response, ordinal === 1 ? 401 : 200, {}));
    const app = await open({ plugins: [rotating()], servers: { s: { url, auth: { method: 'rotating' } } } });
    await app.fetch('s')(url, post());
    await app.preview('s');
    expect((await app.status('s')).usage).toMatchObject({ requests: 2, refused: 1 });
  });
});

describe('redirects', () => {
  const secret = plugin('secret', () => ({
    authorize: ({ headers, url: { pathname } }) => headers.set('x-key', `secret-for-${pathname}`),
  }));

  test.each([
    [307, 'POST'],
    [308, 'POST'],
    [301, 'GET'],
    [302, 'GET'],
    [303, 'GET'],
  ])('%i of a %s is followed within the origin, authorized anew', async (status, method) => {
    const { url, received } = await startServer(({ path }, response) =>
      path === '/mcp' ? response.writeHead(status, { location: '/other?x=1' }).end() : json(response, 200, {}),
    );
    const app = await open({ plugins: [secret], servers: { s: { url, auth: { method: 'secret' } } } });
    const response = await app.fetch('s')(url, method === 'POST' ? post() : {});
    expect([response.status, received.map(({ method: m, path, headers }) => [m, path, headers['x-key']])]).toEqual([
      200,
      [
        [method, '/mcp', 'secret-for-/mcp'],
        [method, '/other?x=1', 'secret-for-/other'],
      ],
    ]);
  });

  test.each([301, 302, 303, 307, 308])(
    '%i to another origin is refused, and that origin receives nothing',
    async (status) => {
      const foreign = await startServer((_, response) => json(response, 200, {}));
      for (const location of [
        foreign.url,
        foreign.url.replace('127.0.0.1', 'localhost'),
        foreign.url.replace('http://', '//'),
      ]) {
        const { url } = await startServer((_, response) => response.writeHead(status, { location }).end());
        const app = await open({ plugins: [secret], servers: { s: { url, auth: { method: 'secret' } } } });
        for (const init of [post(), {}])
          await expect(app.fetch('s')(url, init)).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
      }
      expect(foreign.received).toEqual([]);
    },
  );

  test.each(['https://x y/', 'file:///etc/passwd', 'javascript:alert(1)', 'http://user:pw@SELF/', '\\\\evil'])(
    'to %s is refused',
    async (target) => {
      const { url, origin } = await startServer((_, response) =>
        response.writeHead(307, { location: target.replace('SELF', new URL(origin).host) }).end(),
      );
      const app = await open({ plugins: [secret], servers: { s: { url, auth: { method: 'secret' } } } });
      await expect(app.fetch('s')(url, post())).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
    },
  );

  test.each([301, 302, 303])('%i of a POST is refused', async (status) => {
    const { url, received } = await startServer((_, response) => response.writeHead(status, { location: '/b' }).end());
    const app = await open({ plugins: [secret], servers: { s: { url, auth: { method: 'secret' } } } });
    await expect(app.fetch('s')(url, post())).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
    expect(received).toHaveLength(1);
  });

  test('a loop ends after three', async () => {
    const { url, received } = await startServer((_, response) => response.writeHead(307, { location: '/mcp' }).end());
    const app = await open({ plugins: [secret], servers: { s: { url, auth: { method: 'secret' } } } });
    await expect(app.fetch('s')(url, post())).rejects.toMatchObject({ code: 'REDIRECT_REFUSED' });
    expect(received).toHaveLength(4);
  });
});

describe('where credentials go', () => {
  const secret = plugin('secret', () => ({ authorize: ({ headers }) => headers.set('x-key', 'secret-value') }));

  test('another origin than the server’s is refused', async () => {
    const foreign = await startServer((_, response) => json(response, 200, {}));
    const { url } = await startServer((_, response) => json(response, 200, {}));
    const app = await open({ plugins: [secret], servers: { s: { url, auth: { method: 'secret' } } } });
    await expect(app.fetch('s')(foreign.url, post())).rejects.toMatchObject({ code: 'FOREIGN_ORIGIN' });
    expect(foreign.received).toEqual([]);
  });

  test('plain http to another machine is refused, with a credential, and only then', async () => {
    const servers = {
      s: { url: 'http://unreachable.invalid/mcp', auth: { method: 'secret' } },
      open: { url: 'http://unreachable.invalid/mcp' },
    };
    const app = await open({ plugins: [secret], servers });
    await expect(app.fetch('s')('http://unreachable.invalid/mcp', post())).rejects.toMatchObject({
      code: 'CREDENTIAL_OVER_HTTP',
    });
    await expect(app.fetch('open')('http://unreachable.invalid/mcp', post())).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
    const allowed = await open({
      plugins: [secret],
      servers: { ...servers, countersign: { allowInsecureHttp: ['unreachable.invalid'] } },
    });
    await expect(allowed.fetch('s')('http://unreachable.invalid/mcp', post())).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
  });

  test('a provider that throws sends nothing', async () => {
    const { url, received } = await startServer((_, response) => json(response, 200, {}));
    const app = await open({
      plugins: [plugin('broken', () => ({ authorize: () => Promise.reject(new Error('no credential')) }))],
      servers: { s: { url, auth: { method: 'broken' } } },
    });
    await expect(app.fetch('s')(url, post())).rejects.toThrow('no credential');
    expect(received).toEqual([]);
  });

  test('an error that quotes a secret leaves redacted', async () => {
    const leaky = plugin('leaky', ({ conceal }) => ({
      authorize: () => {
        conceal('canary-secret-1');
        throw new Error('failed with canary-secret-1', {
          cause: new Error(Buffer.from('canary-secret-1').toString('base64')),
        });
      },
    }));
    const app = await open({
      plugins: [leaky],
      servers: { s: { url: 'http://127.0.0.1:9/', auth: { method: 'leaky' } } },
    });
    const error = (await app
      .fetch('s')('http://127.0.0.1:9/', post())
      .catch((e: unknown) => e)) as Error;
    expect(`${error.stack} ${(error.cause as Error).stack}`).not.toMatch(/canary-secret-1|Y2FuYXJ5LXNlY3JldC0x/);
  });

  test('two members that set one header are an error, and nothing is sent', async () => {
    const { url, received } = await startServer((_, response) => json(response, 200, {}));
    const other = plugin('other', () => ({ authorize: ({ headers }) => headers.set('X-Key', 'b') }));
    const app = await open({
      plugins: [secret, other],
      servers: { s: { url, auth: [{ method: 'secret' }, { method: 'other' }] } },
    });
    await expect(app.fetch('s')(url, post())).rejects.toMatchObject({
      code: 'HEADER_CONFLICT',
      message: expect.stringMatching(/secret and other/),
    });
    expect(received).toEqual([]);
  });
});

describe('waiting', () => {
  function patient() {
    const slept: number[] = [];
    const clock: Clock = { now: () => Date.parse('2026-01-01T00:00:00Z'), sleep: async (ms) => void slept.push(ms) };
    return { slept, clock };
  }
  const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

  test.each([
    [429, '1', list, [1000]],
    [503, '2', { ...list, method: 'tools/call' }, [2000]],
    [429, 'Thu, 01 Jan 2026 00:00:05 GMT', list, [5000]],
  ])('%i with Retry-After %s is repeated after the delay', async (status, after, message, expected) => {
    const { slept, clock } = patient();
    const { url, received } = await startServer((_, response, ordinal) =>
      ordinal === 1 ? json(response, status, {}, { 'retry-after': after }) : json(response, 200, {}),
    );
    const app = await open({ clock, servers: { s: { url } } });
    expect([(await app.fetch('s')(url, post(message))).status, slept, received.length]).toEqual([200, expected, 2]);
  });

  test.each([
    [429, '1', { ...list, method: 'tools/call' }],
    [429, '86400', list],
    [503, '86400', list],
  ])('%i with Retry-After %s is an error that carries the delay', async (status, after, message) => {
    const { url, received } = await startServer((_, response) => json(response, status, {}, { 'retry-after': after }));
    const app = await open({ clock: patient().clock, servers: { s: { url } } });
    await expect(app.fetch('s')(url, post(message))).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfter: Number(after),
      status,
    });
    expect(received).toHaveLength(1);
  });

  test.each([403, 429])(
    '%i with an exhausted x-ratelimit is RATE_LIMITED until its reset, not a refusal',
    async (status) => {
      const log: string[] = [];
      const now = Date.parse('2026-01-01T00:00:00Z') / 1000;
      const headers = {
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(now + 900),
        date: new Date(now * 1000).toUTCString(),
      };
      const { url, received } = await startServer((_, response) => json(response, status, {}, headers));
      const app = await open({
        clock: patient().clock,
        plugins: [rotating(log)],
        servers: { s: { url, auth: { method: 'rotating' } } },
      });
      await expect(app.fetch('s')(url, post(list))).rejects.toMatchObject({
        code: 'RATE_LIMITED',
        retryAfter: 900,
        status,
        message: expect.stringContaining('until 2026-01-01T00:15:00Z'),
      });
      expect([received.length, log]).toEqual([1, []]);
    },
  );

  test('a 403 with some of its limit left is a refusal', async () => {
    const { url } = await startServer((_, response) =>
      json(response, 403, {}, { 'x-ratelimit-remaining': '4999', 'x-ratelimit-reset': '1900000000' }),
    );
    expect((await (await open({ servers: { s: { url } } })).fetch('s')(url, post())).status).toBe(403);
  });

  test('garbage in Retry-After leaves the response to the caller', async () => {
    const { url } = await startServer((_, response) => json(response, 503, {}, { 'retry-after': 'later' }));
    expect((await (await open({ servers: { s: { url } } })).fetch('s')(url, post())).status).toBe(503);
  });

  test('a server that always says wait is not asked for ever', async () => {
    const { clock, slept } = patient();
    const { url } = await startServer((_, response) => json(response, 503, {}, { 'retry-after': '1' }));
    await expect((await open({ clock, servers: { s: { url } } })).fetch('s')(url, post(list))).rejects.toMatchObject({
      code: 'RATE_LIMITED',
    });
    expect(slept).toHaveLength(3);
  });
});

describe('deadlines and aborts', () => {
  test('a server that never answers is TIMEOUT', async () => {
    const { url } = await startServer(() => undefined);
    const app = await open({ servers: { s: { url, timeout: 0.05 } } });
    await expect(app.fetch('s')(url, post())).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('a body that drips past the deadline is TIMEOUT', async () => {
    const { url } = await startServer((_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
    );
    const app = await open({ servers: { s: { url, timeout: 0.1 } } });
    const response = await app.fetch('s')(url, post());
    await expect(response.text()).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('a stream outlives the deadline, and an idle one ends', async () => {
    const { url } = await startServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
      setTimeout(() => response.write('data: 2\n\n'), 200);
    });
    const app = await open({ servers: { s: { url, timeout: 0.1, sse_read_timeout: 0.4 } } });
    const reader = (await app.fetch('s')(url, {})).body!.getReader();
    expect(Buffer.from((await reader.read()).value).toString()).toContain('1');
    expect(Buffer.from((await reader.read()).value).toString()).toContain('2');
    await expect(reader.read()).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('a provider that hangs is TIMEOUT', async () => {
    const app = await open({
      plugins: [plugin('hung', () => ({ authorize: () => new Promise(() => undefined) }))],
      servers: { s: { url: 'http://127.0.0.1:9/', auth: { method: 'hung' }, timeout: 0.05 } },
    });
    await expect(app.fetch('s')('http://127.0.0.1:9/', post())).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  test('an abort reaches the server, before the answer and within the body', async () => {
    let closed: (() => void) | undefined;
    const { url } = await startServer((_, response, ordinal) => {
      response.on('close', () => closed?.());
      if (ordinal === 2) response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    });
    const app = await open({ servers: { s: { url } } });
    for (const within of [false, true]) {
      const controller = new AbortController();
      const gone = new Promise<void>((resolve) => (closed = resolve));
      const pending = app.fetch('s')(url, { ...post(), signal: controller.signal });
      if (within) {
        const reader = (await pending).body!.getReader();
        await reader.read();
        controller.abort();
        await expect(reader.read()).rejects.toMatchObject({ name: 'AbortError' });
      } else {
        setTimeout(() => controller.abort(), 20);
        await expect(pending).rejects.toMatchObject({ name: 'AbortError' });
      }
      await gone;
    }
  });

  test('a connection cut within the body is an error, not an end', async () => {
    const { url } = await startServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('{"a":');
      setImmediate(() => response.destroy());
    });
    await expect((await (await open({ servers: { s: { url } } })).fetch('s')(url, post())).text()).rejects.toThrow();
  });

  test('nobody listening is UNREACHABLE', async () => {
    const { url, server } = await startServer(() => undefined);
    server.close();
    await once(server, 'close');
    await expect((await open({ servers: { s: { url } } })).fetch('s')(url, post())).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
    connect(1)
      .on('error', () => undefined)
      .destroy();
  });
});

describe('bodies', () => {
  test.each(['gzip', 'x-gzip'])('%s is undone', async (encoding) => {
    const { url } = await startServer((_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding })
        .end(gzipSync('{"a":1}')),
    );
    const response = await (await open({ servers: { s: { url } } })).fetch('s')(url, post());
    expect([await response.json(), response.headers.get('content-encoding')]).toEqual([{ a: 1 }, null]);
  });

  test('a small answer that unpacks to hundreds of megabytes is refused with bounded memory', async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024), { level: 9 });
    const { url } = await startServer((_, response) =>
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb),
    );
    const app = await open({ servers: { s: { url } } });
    const before = process.memoryUsage().rss;
    await expect((await app.fetch('s')(url, post())).text()).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024);
  });

  test('gzip that was cut is an answer that was cut', async () => {
    const whole = gzipSync(JSON.stringify({ a: 'x'.repeat(1000) }));
    const { url } = await startServer((_, response) =>
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(whole.subarray(0, -10)),
    );
    const app = await open({ servers: { s: { url } } });
    await expect((await app.fetch('s')(url)).text()).rejects.toThrow();
  });

  test.each(['gzip, gzip', 'zstd', 'gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip, gzip'])(
    'the encoding %s is refused',
    async (encoding) => {
      const { url } = await startServer((_, response) =>
        response.writeHead(200, { 'content-encoding': encoding }).end(gzipSync(gzipSync('x'))),
      );
      await expect((await open({ servers: { s: { url } } })).fetch('s')(url, post())).rejects.toMatchObject({
        code: 'TOO_LARGE',
      });
    },
  );

  test('an endless answer ends at the cap', async () => {
    const { url } = await startServer((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = Buffer.alloc(1024 * 1024, 'x');
      const more = () => {
        while (response.write(chunk));
        response.once('drain', more);
      };
      more();
    });
    await expect(
      (await (await open({ servers: { s: { url } } })).fetch('s')(url, post())).text(),
    ).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  test('takes what fetch takes: a Request, a stream, URLSearchParams', async () => {
    const { url, received } = await startServer((_, response) => json(response, 200, {}));
    const send = (await open({ servers: { s: { url } } })).fetch('s');
    await send(new Request(url, { method: 'PUT', body: 'a', headers: { 'x-a': '1' } }));
    await send(url, { method: 'POST', body: new URLSearchParams({ b: 'ü' }) });
    await send(new URL(url), { method: 'POST', body: new Blob(['c']).stream(), duplex: 'half' });
    await send(url, { method: 'POST', body: new Uint8Array([100]) });
    expect(received.map(({ method, body }) => [method, body])).toEqual([
      ['PUT', 'a'],
      ['POST', 'b=%C3%BC'],
      ['POST', 'c'],
      ['POST', 'd'],
    ]);
    expect(received[0]?.headers['x-a']).toBe('1');
  });

  test('a 204 has no body, and the response knows its URL', async () => {
    const { url } = await startServer((_, response) => response.writeHead(204).end());
    const response = await (await open({ servers: { s: { url } } })).fetch('s')(`${url}#fragment`, post());
    expect([response.status, response.body, response.url]).toEqual([204, null, url]);
  });
});
