import type { RefusalMeaning, ResponseHead } from '@countersign/core';
import { messageOf } from './api.js';

/** A 403 of GitHub's: single sign-on, a missing permission or scope, and what mends it. `undefined` for any other. */
export function explainForbidden(
  { headers }: ResponseHead,
  body: string,
  source: string | undefined,
): RefusalMeaning | undefined {
  const message = messageOf(parsed(body));
  const told = message === undefined ? '' : `: ${message}`;
  const token = source === undefined ? 'the token' : `the token (${source})`;

  if (headers.has('x-github-sso')) {
    const sso = /url=(https:\/\/[\w./?=&%-]+)/.exec(headers.get('x-github-sso') ?? '')?.[1];
    return {
      said: `the organisation wants ${token} authorized for single sign-on${told}`,
      remedy: `Authorize it${sso === undefined ? ' in the settings of the token' : `: ${sso}`}.`,
    };
  }
  const permissions = headers.get('x-accepted-github-permissions');
  if (permissions !== undefined && /^[\w=;, ]{1,200}$/.test(permissions))
    return { said: `${token} lacks a permission${told}`, remedy: `Give it ${permissions}.` };
  if (message !== undefined && /not accessible by/i.test(message))
    return {
      said: `${token} lacks a permission${told}`,
      remedy: 'Give the App or the token the permission, and accept it in the installation.',
    };
  const scopes = headers.get('x-accepted-oauth-scopes');
  if (scopes !== undefined && /^[\w:, ]{1,200}$/.test(scopes))
    return { said: `${token} lacks a scope${told}`, remedy: `Give it one of: ${scopes}.` };
  return undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
