import { buildGitea } from './gitea/build.ts';

/** `build`: builds the Gitea that tests start, and prints where it is. */
if (process.argv[2] !== 'build') {
  console.error('usage: node scripts/gitea.ts build');
  process.exitCode = 2;
} else {
  console.log((await buildGitea({ say: console.error })).program);
}
