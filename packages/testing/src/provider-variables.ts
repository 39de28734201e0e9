import { isCountersignError } from '@countersign/core';
import { expect, failureOf, told } from './expectations.js';
import { outgoingRequest, type Bench } from './provider-bench.js';

/** For a provider that computes variables. */
export async function variablesAgree({ definition, start, server }: Bench): Promise<void> {
  const instance = await start();
  const { provider } = instance;
  const { variables = [], signatures = [] } = definition;
  expect(
    'variable' in provider,
    `The definition lists ${[...variables, ...signatures].join(', ')}, and the provider has no \`variable\`.`,
  );
  const valueOf = async (name: string): Promise<string | undefined> => provider.variable?.(name, request);
  const request = outgoingRequest(server.url);
  for (const name of [...variables, ...signatures]) {
    const [one, two] = [await valueOf(name), await valueOf(name)];
    expect(
      one === undefined || typeof one === 'string',
      `variable("${name}") answered ${JSON.stringify(one)}: answer text, or undefined when there is none.`,
    );
    expect(
      one === two,
      `variable("${name}") answered two values within one attempt: compute it once, with request.attempt.memo(key, make).`,
    );
    await new Promise((done) => setTimeout(done, 5));
    const late = await valueOf(name);
    expect(
      one === late,
      `variable("${name}") changed within one attempt as time passed: use request.attempt.time, not the clock.`,
    );
  }
  for (const name of variables) {
    const failure = await failureOf(Promise.resolve().then(() => provider.variable?.(name, undefined)));
    expect(
      failure === undefined || isCountersignError(failure),
      `variable("${name}") without a request (a child's environment) failed with ${told(failure)}: answer it, or throw a CountersignError.`,
    );
  }
}

/** For a provider that announces its headers. */
export async function setsWhatItSays({ definition, start, server }: Bench): Promise<void> {
  const instance = await start();
  const announced = definition.sets?.(instance.options) ?? [];
  const request = outgoingRequest(server.url);
  const before = new Map(request.headers);
  await instance.provider.authorize(request);
  const set = [...request.headers].filter(([name, value]) => before.get(name) !== value).map(([name]) => name);
  const unannounced = set.filter((name) => !announced.includes(name));
  expect(
    unannounced.length === 0,
    `\`authorize\` set ${unannounced.join(', ')}, which \`sets\` does not list: list every header, in lower case, so that conflicts are found before a request.`,
  );
}
