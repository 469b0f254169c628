import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { Secret } from '#base/secret.ts';
import { commit } from '#git/commit.ts';
import { openRepository } from '#git/repository.ts';
import { createSigner, verifyCommit } from '#git/signature.ts';
import { git, newCommit, runGit, silent } from '#support/git.ts';
import { describeUnless } from '#support/missing.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const directory = useTemporaryDirectory('plinth-signature');
const hasOpenssh = spawnSync('ssh-keygen', ['-?'], { stdio: 'ignore' }).error === undefined;
const reason = hasOpenssh ? undefined : 'ssh-keygen is not installed (Debian: openssh-client)';

/** A key of OpenSSH's own, and its public half. */
function makeKey(name: string, args: readonly string[]): { file: string; publicKey: string } {
  const file = join(directory, name);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-f', file, '-C', name, ...args]);
  return { file, publicKey: readFileSync(`${file}.pub`, 'utf8').trim() };
}

const kinds: readonly (readonly [string, readonly string[]])[] = [
  ['ed25519', ['-t', 'ed25519']],
  ['P-256', ['-t', 'ecdsa', '-b', '256']],
  ['P-384', ['-t', 'ecdsa', '-b', '384']],
  ['P-521', ['-t', 'ecdsa', '-b', '521']],
  ['RSA 2048', ['-t', 'rsa', '-b', '2048']],
  ['RSA 4096', ['-t', 'rsa', '-b', '4096']],
];

describeUnless(reason, 'signatures of commits', () => {
  const work = join(directory, 'work');
  beforeAll(async () => {
    execFileSync('git', ['init', '-q', '-b', 'main', work]);
    await git(work, 'config', 'user.email', 'ada@example.com');
    await git(work, 'config', 'user.name', 'Ada');
    await git(work, 'config', 'gpg.format', 'ssh');
  });

  /** A commit that Git itself made and signed, as Git keeps it. */
  const committed = async (...more: string[]): Promise<Buffer> => {
    const text = `Änderung ${randomBytes(4).toString('hex')}\n\nwith a body\n`;
    await git(work, ...more, 'commit', '-q', '--allow-empty', '-m', text);
    return execFileSync('git', ['-C', work, 'cat-file', 'commit', 'HEAD']);
  };
  const signedBy = (key: { file: string }) =>
    committed('-c', `user.signingkey=${key.file}`, '-c', 'commit.gpgsign=true');

  test.each(kinds)('by Git with a key of %s are verified, many times over', async (name, args) => {
    const key = makeKey(name.replace(' ', ''), args);
    const other = makeKey(`${name.replace(' ', '')}-other`, args);
    const blob = key.publicKey.split(' ').slice(0, 2).join(' ');
    // Integers of SSH have no fixed length: a few tries meet short ones.
    for (let i = 0; i < 8; i++) {
      const raw = await signedBy(key);
      expect(verifyCommit(raw, [other.publicKey, key.publicKey])).toEqual({ kind: 'signed', key: blob });
      expect(verifyCommit(raw, [other.publicKey])).toEqual({
        kind: 'refused',
        why: expect.stringContaining('is not among signatures.keys'),
      });
      expect(verifyCommit(raw, [])).toMatchObject({ kind: 'refused' });
    }
  });

  test('hold for no other content: every byte of the commit counts', async () => {
    const key = makeKey('bytes', ['-t', 'ed25519']);
    const raw = await signedBy(key);
    expect(verifyCommit(raw, [key.publicKey]).kind).toBe('signed');
    for (let at = 0; at < raw.length; at++) {
      const changed = Buffer.from(raw);
      changed[at] = changed[at]! ^ 1;
      const verdict = verifyCommit(changed, [key.publicKey]);
      // The armour may be folded otherwise, and its last bits mean nothing: the same signature, still of all the rest.
      if (verdict.kind === 'signed') expect(at).toBeGreaterThan(raw.indexOf('gpgsig'));
      if (verdict.kind === 'signed') expect(at).toBeLessThan(raw.indexOf('END SSH SIGNATURE') + 24);
    }
  });

  test('are refused with the reason: none, two, OpenPGP, another purpose, garbage', async () => {
    const key = makeKey('refused', ['-t', 'ed25519']);
    const raw = (await signedBy(key)).toString('latin1');
    const why = (text: string) => {
      const verdict = verifyCommit(Buffer.from(text, 'latin1'), [key.publicKey]);
      return verdict.kind === 'refused' ? verdict.why : 'signed';
    };
    expect(why((await committed()).toString('latin1'))).toBe('it is not signed');
    const header = /gpgsig .*?END SSH SIGNATURE-----\n/s.exec(raw)?.[0] ?? '';
    expect(why(raw.replace(header, header + header))).toBe('it is not signed');
    expect(
      why(raw.replace(header, 'gpgsig -----BEGIN PGP SIGNATURE-----\n  \n aaaa\n -----END PGP SIGNATURE-----\n')),
    ).toContain('OpenPGP');
    expect(
      why(raw.replace(header, 'gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----\n')),
    ).toContain('ends too soon');
    // The same bytes signed for another purpose than Git.
    const payload = join(directory, 'payload');
    writeFileSync(payload, raw.replace(header, ''), 'latin1');
    execFileSync('ssh-keygen', ['-q', '-Y', 'sign', '-n', 'file', '-f', key.file, payload], { stdio: 'ignore' });
    const forFile = readFileSync(`${payload}.sig`, 'utf8').trim().replaceAll('\n', '\n ');
    expect(why(raw.replace(header, `gpgsig ${forFile}\n`))).toContain('for something else than Git');
  });

  test('of Plinth itself are verified by Git and OpenSSH, and are the same at each start', async () => {
    const seed = new Secret(randomBytes(32));
    const signer = createSigner(seed);
    expect(createSigner(seed).publicKey).toBe(signer.publicKey);
    const folder = join(directory, 'state.git');
    const repository = await openRepository({ directory: folder, branch: 'main', log: silent, signer });
    const batch = [newCommit({ 'a.txt': 'a' }, 'Ä'), newCommit({ 'b.txt': 'b' }, 'Two')];
    const revisions = await commit(repository, { expected: undefined, commits: batch });
    const allowed = join(directory, 'allowed');
    writeFileSync(allowed, `plinth@localhost namespaces="git" ${signer.publicKey}\n`);
    for (const revision of revisions) {
      const args = [
        '-c',
        'gpg.format=ssh',
        '-c',
        `gpg.ssh.allowedSignersFile=${allowed}`,
        'verify-commit',
        '-v',
        revision,
      ];
      const { code, stderr } = await runGit(folder, args);
      expect([code, stderr]).toEqual([0, expect.stringContaining('Good "git" signature for plinth@localhost')]);
      expect(verifyCommit(await repository.rawCommit(revision), [signer.publicKey]).kind).toBe('signed');
    }
    expect((await repository.describe(revisions[0]!)).subject).toBe('Ä');
    await repository.close();
  });
});
