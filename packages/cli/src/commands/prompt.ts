import { CountersignError } from '@countersign/core';
import type { RunCommand } from '../context.js';
import type { PromptResult } from '../protocol.js';
import { promptText } from '../result-text.js';
import { request } from '../sessions.js';

/** `prompt SERVER PROMPT [key=value…]`: the prompt's messages, filled in. */
export const run: RunCommand = async (context, [server = '', name = '', ...words]) => {
  const result = await request<PromptResult>(context, server, 'prompts/get', { name, arguments: texts(words) });
  if (context.screen.json) context.screen.document(result);
  else context.screen.print(context.screen.shown(promptText(result)));
  return 0;
};

// A prompt's arguments are texts, by the protocol.
function texts(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf('=');
      if (at < 1)
        throw new CountersignError('USAGE', `${JSON.stringify(word)} is not key=value.`, {
          remedy: 'Write the arguments of a prompt as key=value words.',
        });
      return [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}
