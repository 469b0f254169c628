import { stylesheetPath } from './assets.ts';
import { type Html, html, type Piece } from './html.ts';

/** Who looks at the page, for its head. */
export interface Visitor {
  readonly email: string;
  /** For the hidden field of the forms on the page. */
  readonly csrf: string;
}

export interface Page {
  /** Heading and, with the product's name, the window's title. */
  readonly title: string;
  readonly visitor?: Visitor | undefined;
  /** The path of the page in the navigation that is this one. */
  readonly here?: string;
  /** Leave out of the title what is wrong: it is said first, for those who hear the page. */
  readonly faulty?: boolean;
  readonly content: Piece;
}

const places = [
  ['/account', 'Account'],
  ['/account/devices', 'Devices'],
  ['/account/second-factor', 'Second factor'],
  ['/documentation/', 'API documentation'],
] as const;

/** A whole page. It runs no script, and all that it loads is one stylesheet of this host. */
export function layout({ title, visitor, here, faulty = false, content }: Page): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${faulty && 'Error: '}${title} – Plinth</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath fill='%232f6fd0' d='M5 1h6v7H5z'/%3E%3Cpath fill='%237d8894' d='M3 9h10v2H3zM1 12h14v3H1z'/%3E%3C/svg%3E">
<link rel="stylesheet" href="${stylesheetPath}">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<a class="brand" href="/"><span class="mark" aria-hidden="true"></span>Plinth</a>
${visitor !== undefined && head(visitor)}
</header>
${visitor !== undefined && navigation(here)}
<main id="content">
<h1>${title}</h1>
${content}
</main>
${visitor === undefined && footer()}
</body>
</html>
`;
  return page.toString();
}

const head = ({ email, csrf }: Visitor): Html => html`<form class="visitor" method="post" action="/sign-out">
<span class="who">${email}</span>
<input type="hidden" name="csrf" value="${csrf}">
<button class="quiet">Sign out</button>
</form>`;

const navigation = (here: string | undefined): Html => html`<nav aria-label="Your account"><ul>
${places.map(([path, name]) =>
  path === here
    ? html`<li><a href="${path}" aria-current="page">${name}</a></li>`
    : html`<li><a href="${path}">${name}</a></li>`,
)}
</ul></nav>`;

const footer = (): Html => html`<footer><a href="/documentation/">API documentation</a></footer>`;
