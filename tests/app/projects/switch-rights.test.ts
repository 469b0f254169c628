import { expect, test } from 'vitest';
import { authorise } from '#auth/authorise.ts';
import { switchRoutes } from '#contract/switch-routes.ts';
import { editorOf } from '#support/http.ts';

/** Which of the routes an editor of the project's team may take. */
const allowed = switchRoutes
  .filter(({ permission, reach }) =>
    authorise(editorOf('shop'), permission, { reach, environment: 'local', team: 'shop', project: 'web' }),
  )
  .map(({ name }) => name);

test('a switch of one project is the project’s own, whoever set it; those of teams and environments are not', () => {
  expect(allowed).toEqual(['listSwitches', 'listProjectSwitches', 'putProjectSwitch', 'deleteProjectSwitch']);
});
