import { describe, expect, test } from 'vitest';
import { attributes, html, type Piece } from '#auth/pages/html.ts';

const hostile = `<script>alert(1)</script>"'&`;
const escaped = '&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;';

describe('what stands between tags', () => {
  test('text is escaped, HTML is not escaped again', () => {
    const inner = html`<b>${hostile}</b>`;
    expect(html`<p>${inner} and ${hostile}</p>`.toString()).toBe(`<p><b>${escaped}</b> and ${escaped}</p>`);
  });

  test('a list is shown piece by piece, undefined and false not at all, 0 is', () => {
    const items: Piece = ['<', html`<i>${1}</i>`, [undefined, false, 0]];
    expect(html`<p>${items}</p>`.toString()).toBe('<p>&lt;<i>1</i>0</p>');
  });

  test('an object that only looks like HTML is no HTML', () => {
    const lookalike = { toString: () => '<script>' } as unknown as Piece;
    expect(() => html`<p>${lookalike}</p>`.toString()).toThrow();
  });

  test('what was put in before does not change the place of what follows', () => {
    expect(html`<p>${'<a href="'}${'">'}</p>`.toString()).toBe('<p>&lt;a href=&quot;&quot;&gt;</p>');
  });
});

describe('what stands in an attribute', () => {
  test('text cannot leave the quotes', () => {
    expect(html`<p title="${hostile}" lang="en">x</p>`.toString()).toBe(`<p title="${escaped}" lang="en">x</p>`);
  });

  test('HTML is refused there', () => {
    expect(() => html`<p title="${html`<b>x</b>`}">x</p>`).toThrow('in an attribute only text can stand');
  });

  test.each(['javascript:alert(1)', '//evil.example', '/\\evil.example', 'http://evil.example', ' /x', '', 'x'])(
    'an address that does not stay here is refused: %j',
    (address) => {
      expect(() => html`<a href="${address}">x</a>`).toThrow('leads only to paths of ours');
      expect(() => html`<form method="post" action="${address}"></form>`).toThrow('leads only to paths of ours');
    },
  );

  test('a path of ours and a place on the page are taken', () => {
    const page = html`<a href="${'/sign-in?next=%2F&a=b'}">x</a><a href="${'#email'}">y</a>`;
    expect(page.toString()).toBe('<a href="/sign-in?next=%2F&amp;a=b">x</a><a href="#email">y</a>');
  });
});

describe('what stands in a tag', () => {
  test('attributes, each escaped; true is the name alone', () => {
    const given = attributes({ value: hostile, required: true, hidden: false, id: undefined, size: 4 });
    expect(html`<input${given}>`.toString()).toBe(`<input value="${escaped}" required size="4">`);
  });

  test.each(['onclick', 'style', 'a b', 'x"', ''])('a name that runs or breaks something is refused: %j', (name) => {
    expect(() => attributes({ [name]: 'x' })).toThrow('is no attribute');
  });

  test('text is refused there', () => {
    expect(() => html`<input${'autofocus'}>`).toThrow('in a tag only attributes can stand');
  });

  test('attributes are refused between tags', () => {
    expect(() => html`<p>${attributes({ id: 'x' })}</p>`).toThrow('attributes stand in a tag');
  });
});

test.each([
  ['an attribute without quotes', () => html`<p title=${'x'}>`],
  ['an attribute in single quotes', () => html`<p title='${'x'}'>`],
  ['a handler', () => html`<p onclick="${'x'}">`],
  ['a style', () => html`<p style="${'x'}">`],
  ['a script', () => html`<script>${'x'}</script>`],
  ['a style sheet', () => html`<style>${'x'}</style>`],
  ['a comment', () => html`<!-- ${'x'} -->`],
  ['the name of a tag', () => html`<${'b'}>`],
  ['the name of an end tag', () => html`<p></${'p'}>`],
  ['the name of an attribute', () => html`<p ${'title'}="x">`],
])('a template with an interpolation in %s is refused', (_, make) => {
  expect(make).toThrow();
});

test('text in a comment or a script that has ended is text', () => {
  expect(html`<!-- a --><script>b</script><p>${'<'}</p>`.toString()).toBe('<!-- a --><script>b</script><p>&lt;</p>');
});
