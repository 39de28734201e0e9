import type { CallResult, Content, PromptResult, ResourceContent } from './protocol.js';

/** A tool's result for a person: texts as they are, everything else noted in brackets. */
export function callText(result: CallResult): string {
  const lines = listed(result.content).map(contentText);
  if (lines.length === 0 && result.structuredContent !== undefined)
    lines.push(JSON.stringify(result.structuredContent, null, 2));
  return lines.join('\n');
}

/** A resource's contents for a person. */
export function resourceText(contents: readonly ResourceContent[] | undefined): string {
  return listed(contents).map(resourceContentText).join('\n');
}

/** A prompt's messages for a person, each under its role. */
export function promptText(result: PromptResult): string {
  return listed(result.messages)
    .map(({ role, content }) => `${role ?? 'unknown'}:\n${listed(content).map(contentText).join('\n')}`)
    .join('\n\n');
}

function contentText(content: Content): string {
  switch (content.type) {
    case 'text':
      return content.text ?? '';
    case 'image':
    case 'audio':
      return `[${content.type} ${content.mimeType ?? 'of unknown type'}, ${size(content.data)}]`;
    case 'resource':
      return content.resource
        ? `[resource ${content.resource.uri ?? ''}]\n${resourceContentText(content.resource)}`
        : '[resource]';
    case 'resource_link':
      return `[resource ${content.uri ?? ''}${content.name ? `, ${content.name}` : ''}]`;
    default:
      return `[content of type ${String(content.type)}]`;
  }
}

function resourceContentText({ uri, mimeType, text, blob }: ResourceContent): string {
  return text ?? `[${mimeType ?? 'data'}, ${size(blob)}${uri ? `, ${uri}` : ''}]`;
}

function size(base64: string | undefined): string {
  const bytes = Math.floor(((base64?.replace(/=+$/, '').length ?? 0) * 3) / 4);
  if (bytes < 1024) return `${bytes} bytes`;
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

const listed = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];
