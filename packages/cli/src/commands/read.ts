import type { RunCommand } from '../context.js';
import type { ResourceContent } from '../protocol.js';
import { resourceText } from '../result-text.js';
import { request } from '../sessions.js';

/** `read SERVER URI`: the contents of a resource. */
export const run: RunCommand = async (context, [server = '', uri = '']) => {
  const result = await request<{ contents?: readonly ResourceContent[] }>(context, server, 'resources/read', { uri });
  if (context.screen.json) context.screen.document(result);
  else context.screen.print(context.screen.shown(resourceText(result.contents)));
  return 0;
};
