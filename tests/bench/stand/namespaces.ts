import { namespaceOf } from '#environments/layout.ts';
import { labels } from '#runtime/runtime.ts';
import type { BenchCluster } from './cluster.ts';
import type { BenchProject } from './projects.ts';

/** So many are made at once. */
const atOnce = 50;

/** Namespaces that are there before, as somebody else made them: with our label, owned by no field manager of ours. */
export async function makeNamespaces(
  api: BenchCluster['cluster']['api'],
  projects: readonly BenchProject[],
  installation: string,
): Promise<void> {
  const waiting = [...projects];
  const make = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const metadata = { name: namespaceOf(next.key), labels: { [labels.installation]: installation } };
      const { status } = await api('POST', '/api/v1/namespaces?fieldManager=bench', { metadata });
      if (status !== 201) throw new Error(`a namespace could not be made: ${status}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, make));
}
