// 2026-07-28 has no session and its own headers, which SDK client v2 speaks.
import { Client } from '@modelcontextprotocol/client';

/** Connects, lists the tools and calls each, as the scenario wants it. */
export async function runOnNewWire(transport, scenario, argumentsOf, signedIn) {
  const client = new Client(
    { name: 'countersign-conformance', version: '0.1.0' },
    {
      capabilities: { elicitation: { form: {} }, sampling: {}, roots: {} },
      versionNegotiation: { mode: { pin: '2026-07-28' } },
    },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { confirmed: true } }));
  await client.connect(transport);
  const { tools } = await signedIn(() => client.listTools());
  for (const tool of tools)
    await signedIn(() => client.callTool({ name: tool.name, arguments: argumentsOf(tool, tools) })).catch((error) => {
      if (!scenario.startsWith('http-') && !scenario.startsWith('sep-')) throw error;
    });
  await client.close();
}
