import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startControlPlane } from '#support/control-plane.ts';
import { useTemporaryDirectory } from '#support/temporary.ts';

const temporary = useTemporaryDirectory();

test('a new repository never takes the place of the one that the database knows', async () => {
  const dataDirectory = join(temporary, 'data');
  const plinth = await startControlPlane({ dataDirectory });
  const spec = { apiVersion: 'plinth.dev/v1', kind: 'Project', containers: { web: { image: 'nginx:1' } } };
  const put = await plinth.request('PUT', '/api/v1/environments/local/projects/shop/web', spec);
  await plinth.until(`/api/v1/changes/${put.body.id}?wait=10`, ({ state }) => state === 'committed');
  await plinth.stop();
  rmSync(join(dataDirectory, 'state.git'), { recursive: true });
  await expect(startControlPlane({ dataDirectory })).rejects.toThrow('DATA_DIR has no state repository');
});
