import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dig, digList, digMap } from '#synth/dig.ts';
import { jsonSchemas } from '#synth/json-schema.ts';

for (const [name, schema] of Object.entries(jsonSchemas())) {
  test(`schemas/${name}.schema.json is what the code says`, () => {
    expect(JSON.parse(readFileSync(`schemas/${name}.schema.json`, 'utf8'))).toEqual(schema);
  });

  test(`every field of ${name}.yaml is described`, () => {
    expect(undescribed(schema, name)).toEqual([]);
  });
}

/** Fields without a description, in depth. */
function undescribed(schema: unknown, path: string): string[] {
  const fields = Object.entries(digMap(schema, 'properties')).flatMap(([name, field]) => [
    ...(typeof dig(field, 'description') === 'string' ? [] : [`${path}.${name}`]),
    ...undescribed(field, `${path}.${name}`),
  ]);
  const inner = [
    dig(schema, 'items'),
    dig(schema, 'additionalProperties'),
    ...digList(schema, 'anyOf'),
    ...digList(schema, 'oneOf'),
  ];
  return [...fields, ...inner.filter((each) => typeof each === 'object').flatMap((each) => undescribed(each, path))];
}
