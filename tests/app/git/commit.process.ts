import { createLog } from '#base/log.ts';
import { commit } from '#git/commit.ts';
import { openRepository } from '#git/repository.ts';

/** Commits without end to the repository in its first argument, and says each revision once it is acknowledged. */
const [, , directory = ''] = process.argv;
const repository = await openRepository({ directory, branch: 'main', log: createLog({ level: 'silent' }) });
for (let count = 0; ; count++) {
  const expected = await repository.tip();
  const edits = [{ path: `environments/dev/web/shop-${count % 7}/project.yaml`, content: `${process.pid} ${count}` }];
  const author = { name: 'Ada', email: 'ada@example.com' };
  const commits = [{ edits, subject: `Change ${count}`, trailers: [], author, at: new Date() }];
  process.stdout.write(`${(await commit(repository, { expected, commits })).join('')}\n`);
}
