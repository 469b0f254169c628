import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Problem } from '#contract/problem.ts';
import type { PageNeeds } from '#contract/route.ts';

/**
 * Head of every page: no script runs, nothing is loaded from elsewhere, no other page frames it, and no store keeps
 * it. Its own address is told to this host only, as a link of a mail may hold a code; were it told to nobody, browsers
 * would send forms with `Origin: null`.
 */
export function setPageHeaders(response: ServerResponse, { formActions = [], styles = [] }: PageNeeds = {}): void {
  const policy = [
    "default-src 'none'",
    ["style-src 'self'", ...styles.map((digest) => `'${digest}'`)].join(' '),
    'img-src data:',
    // Only the origin of what was given: the rest of it could hold a semicolon.
    ["form-action 'self'", ...formActions.map((url) => new URL(url).origin)].join(' '),
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
  response.setHeader('Content-Security-Policy', policy);
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.setHeader('Referrer-Policy', 'same-origin');
  response.setHeader('Cache-Control', 'no-store');
}

/** The digest of an inline style, for `PageNeeds.styles`. */
const styleDigest = (css: string): string => `sha256-${createHash('sha256').update(css).digest('base64')}`;

const style =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}h1{font-size:1.3rem}' +
  'small{color:#666}@media(prefers-color-scheme:dark){body{background:#16181d;color:#e6e6e6}a{color:#8ab4f8}}';
const needs: PageNeeds = { styles: [styleDigest(style)] };

/** A problem for people: what the problem document says, and the way on. */
export function sendProblemPage(response: ServerResponse, problem: Problem): void {
  setPageHeaders(response, needs);
  const findings = (problem.findings ?? []).map(({ path, message }) => `<li>${escapeHtml(`${path}: ${message}`)}</li>`);
  response.statusCode = problem.status;
  response.end(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(problem.title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHtml(problem.title)}</h1>
<p>${escapeHtml(problem.detail)}</p>
${findings.length === 0 ? '' : `<ul>${findings.join('')}</ul>\n`}<p><a href="/">To the start page</a></p>
<p><small>${escapeHtml(problem.code)}, request ${escapeHtml(problem.request)}</small></p>
</main>
</body>
</html>
`);
}

const marks: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it stands between tags or in quotes. */
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (mark) => marks[mark] ?? mark);
