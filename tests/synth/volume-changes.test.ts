import { expect, test } from 'vitest';
import { formatFinding } from '#environments/finding.ts';
import { loadEnvironment } from '#environments/load.ts';
import { render } from '#synth/render.ts';
import { volumeFindings } from '#synth/volume-changes.ts';

const environment = loadEnvironment('local', 'apiVersion: plinth.dev/v1\nkind: Environment\ndomain: apps.localhost\n');
const key = { environment: 'local', team: 'atlas', project: 'shop' };
const rendered = (volumes: object) =>
  render({
    environment,
    key,
    spec: JSON.stringify({
      apiVersion: 'plinth.dev/v1',
      kind: 'Project',
      volumes,
      containers: { web: { image: 'a:1', mounts: Object.fromEntries(Object.keys(volumes).map((n) => [`/${n}`, n])) } },
    }),
  });
const wayOut = 'its data would be lost. A volume of another name is a new one; this one then goes after a yes';

test.for<[string, object, object, readonly string[]]>([
  ['the same', { data: '1Gi' }, { data: '1024Mi' }, []],
  ['a larger one', { data: '1Gi' }, { data: '2Gi' }, []],
  ['another one beside it', { data: '1Gi' }, { data: '1Gi', more: '1Mi' }, []],
  ['none any more', { data: '1Gi' }, {}, []],
  ['a smaller one', { data: '2Gi' }, { data: '1500Mi' }, ['volumes.data: it has 2Gi and cannot shrink to 1500Mi']],
  [
    'another class',
    { data: { size: '1Gi' } },
    { data: { size: '1Gi', class: 'fast' } },
    ["volumes.data: it is of class the cluster's default and cannot become fast"],
  ],
])('%s', ([, before, after, findings]) => {
  const found = volumeFindings(key, rendered(before).manifests, rendered(after)).map(formatFinding);
  expect(found).toEqual(findings.map((text) => `environments/local/atlas/shop/project.yaml ${text}; ${wayOut}`));
});

test('of a project that is not there yet nothing is asked', () =>
  expect(volumeFindings(key, undefined, rendered({ data: '1Gi' }))).toEqual([]));
