import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Answer, createAnswers } from '#git/answers.ts';

const id = (digit: number) => `${digit}`.repeat(40);

test('answers come out whole however the output is cut', () => {
  const question = fc.oneof(
    fc.record({ kind: fc.constant('contents' as const), content: fc.uint8Array({ maxLength: 40 }) }),
    fc.record({ kind: fc.constant('info' as const), content: fc.uint8Array({ maxLength: 40 }) }),
    fc.constant({ kind: 'missing' as const, content: new Uint8Array() }),
  );
  const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 60 }));
  fc.assert(
    fc.property(fc.array(question, { maxLength: 20 }), cuts, (questions, sizes) => {
      const mostBytes = 30;
      const answers: Answer[] = [];
      const output = questions.map(({ kind, content }, index) => {
        if (kind === 'missing') return Buffer.from('main:a 12 blob missing\n');
        const head = `${id(index % 10)} blob ${content.length}\n`;
        return kind === 'info' ? Buffer.from(head) : Buffer.concat([Buffer.from(head), content, Buffer.from('\n')]);
      });
      const take = createAnswers({
        mostBytes,
        wantsContent: () => questions[answers.length]?.kind === 'contents',
        answered: (answer) => answers.push(answer),
      });
      let rest = Buffer.concat(output);
      for (const size of sizes) {
        if (rest.length === 0) break;
        take(rest.subarray(0, size));
        rest = rest.subarray(size);
      }
      const expected = questions.map(({ kind, content }, index) => {
        if (kind === 'missing') return undefined;
        const info = { id: id(index % 10), type: 'blob', size: content.length };
        if (kind === 'info') return { ...info, content: Buffer.alloc(0) };
        return { ...info, content: content.length > mostBytes ? undefined : Buffer.from(content) };
      });
      expect(answers).toEqual(expected);
    }),
  );
});
