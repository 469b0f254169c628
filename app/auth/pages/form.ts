import { attributes, type Html, html, type Piece } from './html.ts';
import type { Trouble } from './trouble.ts';

export interface Field {
  readonly name: string;
  /** Where a page has several fields of that name. */
  readonly id?: string;
  readonly label: string;
  readonly type?: 'text' | 'email' | 'password';
  /** For browsers and password keepers; the words of the HTML standard. */
  readonly autocomplete: 'username' | 'email' | 'name' | 'current-password' | 'new-password' | 'one-time-code' | 'off';
  readonly hint?: Piece;
  /** What was typed before. Never given for a password. */
  readonly value?: string | undefined;
  readonly inputmode?: 'numeric' | 'text';
  /** Where typing begins, if nothing is wrong; one field of a page. */
  readonly first?: boolean;
  /** Only with passwords and codes that nobody needs to fill in elsewhere: no help by the browser. */
  readonly plain?: boolean;
}

export interface Form {
  readonly action: string;
  readonly csrf: string;
  readonly hidden?: Readonly<Record<string, string | undefined>>;
  readonly fields?: readonly Field[];
  /** Whose password the form is about, where it does not ask: for password keepers, neither shown nor sent. */
  readonly account?: string;
  /** What the button says. */
  readonly send: string;
  readonly look?: 'main' | 'plain' | 'danger' | 'quiet';
  /** What the button means, for those who hear the page, where several say the same. */
  readonly label?: string;
  readonly trouble?: Trouble | undefined;
  readonly after?: Piece;
}

/** A form that is posted to a path of ours. It works without script. */
export function formOf(form: Form): Html {
  const { action, csrf, hidden = {}, fields = [], account, send, look = 'main', label, trouble, after } = form;
  const kept = Object.entries(hidden).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return html`<form method="post" action="${action}">
<input type="hidden" name="csrf" value="${csrf}">
${kept.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
${account !== undefined && html`<input type="text" autocomplete="username" value="${account}" hidden readonly>`}
${fields.map((field) => fieldOf(field, trouble))}
<div class="actions"><button class="${look}"${attributes({ 'aria-label': label })}>${send}</button>${after}</div>
</form>`;
}

function fieldOf(field: Field, trouble: Trouble | undefined): Html {
  const { name, id = name, label, type = 'text', autocomplete, hint, value, inputmode, first = false, plain } = field;
  const wrong = trouble?.findings.find((finding) => finding.field === name)?.words;
  const described = [hint === undefined ? '' : `${id}-hint`, wrong === undefined ? '' : `${id}-error`].join(' ').trim();
  const input = attributes({
    type,
    name,
    id,
    autocomplete,
    value: type === 'password' ? undefined : value,
    inputmode,
    required: true,
    'aria-invalid': wrong === undefined ? undefined : 'true',
    'aria-describedby': described === '' ? undefined : described,
    autofocus: first && trouble === undefined,
    ...(type === 'text' && !plain ? {} : { autocapitalize: 'none', spellcheck: 'false' }),
  });
  return html`<div class="field">
<label for="${id}">${label}</label>
${hint !== undefined && html`<p class="hint" id="${id}-hint">${hint}</p>`}
${wrong !== undefined && html`<p class="wrong" id="${id}-error">${wrong}</p>`}
<input${input}>
</div>`;
}

/** What went wrong, at the top of the page, read out at once; each finding leads to its field. */
export function troubleBox(trouble: Trouble | undefined): Html | undefined {
  if (trouble === undefined) return undefined;
  const { words, findings } = trouble;
  return html`<div class="box error" role="alert" tabindex="-1" autofocus>
<p>${words}</p>
${
  findings.length > 0 &&
  html`<ul>${findings.map(({ field, words: what }) => html`<li><a href="#${field}">${what}</a></li>`)}</ul>`
}
</div>`;
}

/** What was done just now. */
export const doneBox = (words: string | undefined): Html | undefined =>
  words === undefined ? undefined : html`<div class="box done" role="status"><p>${words}</p></div>`;
