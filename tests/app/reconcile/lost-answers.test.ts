import { test } from 'vitest';
import { Fault } from '#base/errors.ts';
import type { Database } from '#database/pool.ts';
import { describeStand } from './stand.ts';

let losing = false;
/** A database that writes records, and whose connection breaks before it has said so. */
const losesAnswers = (database: Database): Database => ({
  ...database,
  query: async (text, values, name) => {
    const result = await database.query<never>(text, values, name);
    if (losing && name === 'records-write') throw new Fault('DATABASE_UNAVAILABLE', { why: 'the connection is lost' });
    return result;
  },
});

const pod = {
  automountServiceAccountToken: false,
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      name: 'web',
      image: 'nginx:1',
      securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    },
  ],
};

describeStand(
  'records whose answer is lost',
  (stand) => {
    test('what may have been written is written again, also where all is as it was before', async () => {
      const project = stand.project();
      const metadata = { name: 'web', namespace: project.namespace };
      const labels = { app: 'web' };
      const template = { metadata: { labels }, spec: pod };
      const spec = { replicas: 0, selector: { matchLabels: labels }, template };
      await project.write([{ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec }]);
      const path = `/apis/apps/v1/namespaces/${project.namespace}/deployments/web`;
      const pause = (paused: boolean) =>
        stand.cluster.api('PATCH', path, { spec: { paused } }, 'application/merge-patch+json');
      const is = (wanted: string) => project.until(({ health }) => health === wanted);
      await is('healthy');
      losing = true;
      await pause(true);
      await is('suspended');
      await pause(false);
      await is('healthy');
      losing = false;
      await pause(true);
      await is('suspended');
    });
  },
  { through: losesAnswers },
);
