import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeUnless } from '#support/missing.ts';
import type { StateClone } from '#support/state-clone.ts';
import { describeWalk, projectPath, run, smallest } from '#support/walk.ts';

const hasOpenssh = spawnSync('ssh-keygen', ['-?'], { stdio: 'ignore' }).error === undefined;
const reason = hasOpenssh ? undefined : 'ssh-keygen is not installed (Debian: openssh-client)';
const environmentFile = 'environments/local/environment.yaml';
const file = 'environments/local/signed/web/project.yaml';
const environmentPath = '/api/v1/environments/local';

describeUnless(reason, 'an environment that asks for signatures', () => {
  describeWalk('its pushes', (walk) => {
    let clone: StateClone;
    let key: string;
    beforeAll(async () => {
      key = join(walk.directory, 'key');
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key, '-C', 'ada']);
      clone = await walk.clone();
      const publicKey = readFileSync(`${key}.pub`, 'utf8').trim();
      const rules = `signatures:\n  required: true\n  keys: [${JSON.stringify(publicKey)}]\n`;
      const pushed = await clone.push({ [environmentFile]: clone.read(environmentFile) + rules });
      expect(pushed.code, pushed.stderr).toBe(0);
    });
    const sign = async () => {
      for (const [name, value] of Object.entries({
        'gpg.format': 'ssh',
        'user.signingkey': key,
        'commit.gpgsign': 'true',
      }))
        await clone.git('config', name, value);
    };

    test('are refused in the pusher’s terminal while they are not signed', async () => {
      const pushed = await clone.push({ [file]: smallest });
      expect(pushed.code).toBe(1);
      expect(pushed.stderr).toMatch(
        /commit [0-9a-f]{12} does not count here: it is not signed; sign it with git commit -S/,
      );
      await clone.reset();
    });

    test('come in and run when they are signed by a key of the list', async () => {
      await sign();
      const pushed = await clone.push({ [file]: smallest });
      expect(pushed.code, pushed.stderr).toBe(0);
      await walk.plinth.until(
        projectPath('signed/web'),
        ({ phase, health }) => phase === 'applied' && health === 'healthy',
      );
    });

    test('and what Plinth commits for a PUT is signed by Plinth', async () => {
      await run(walk.plinth, 'signed/web', smallest.replace('1.29', '1.30'));
      const { body } = await walk.plinth.request('GET', environmentPath);
      expect(body.signatures).toEqual({
        required: true,
        ownKey: expect.stringMatching(/^ssh-ed25519 [A-Za-z0-9+/=]+ plinth$/),
        unsigned: [],
      });
    });

    test('a revision is accepted only if the branch leads to it, and only by who may', async () => {
      const unknown = { revision: '0'.repeat(40), reason: 'looked at' };
      const refused = await walk.plinth.request('POST', `${environmentPath}/accept`, unknown);
      expect([refused.status, refused.body.code]).toEqual([422, 'REVISION_NOT_ON_BRANCH']);
      const tip = { revision: await clone.remoteTip(), reason: 'looked at' };
      expect((await walk.plinth.request('POST', `${environmentPath}/accept`, tip)).status).toBe(204);
      const [record] = (await walk.plinth.request('GET', '/api/v1/audit?action=acceptRevision&limit=1')).body.items;
      expect(record).toMatchObject({ outcome: 'done', detail: tip });
    });
  });
});
