import { passwordBody } from './access.ts';
import { auditRoutes } from './audit-routes.ts';
import { changeParams, changeQuery, changesQuery, changeView } from './changes.ts';
import { environmentDetail, environmentView } from './environments.ts';
import { identityRoutes } from './identity-routes.ts';
import { notifyRoutes } from './notify-routes.ts';
import { pageRoutes } from './page-routes.ts';
import { peopleRoutes } from './people-routes.ts';
import { projectRoutes } from './project-routes.ts';
import { defineRoute, type HandlersOf } from './route.ts';
import { secretRoutes } from './secret-routes.ts';
import { grantedSecretBody, grantedSecretView, organizationSecretParams } from './secrets.ts';
import { signInRoutes } from './sign-in-routes.ts';
import { signatureRoutes } from './signature-routes.ts';
import { switchRoutes } from './switch-routes.ts';
import { document, healthView, readyView, schemaParams } from './system.ts';
import { environmentParams, listOf } from './values.ts';
import { webhookRoutes } from './webhook-routes.ts';

/** Every route of the control plane. Server, OpenAPI, console and command line are made from this table. */
export const routes = [
  ...projectRoutes,
  ...signInRoutes,
  ...identityRoutes,
  ...peopleRoutes,
  ...auditRoutes,
  ...notifyRoutes,
  ...pageRoutes,
  ...secretRoutes,
  ...signatureRoutes,
  ...switchRoutes,
  ...webhookRoutes,
  defineRoute({
    name: 'listEnvironments',
    tag: 'Environments',
    method: 'GET',
    path: '/api/v1/environments',
    summary: 'The environments with their runtimes',
    permission: 'environment:read',
    reach: 'teams',
    reply: { json: listOf(environmentView) },
  }),
  defineRoute({
    name: 'getEnvironment',
    tag: 'Environments',
    method: 'GET',
    path: '/api/v1/environments/{environment}',
    summary: 'One environment with its settings; as YAML environment.yaml as it was written',
    permission: 'environment:read',
    reach: 'teams',
    params: environmentParams,
    reply: { json: environmentDetail, yaml: 'environment.yaml as it was written.' },
  }),
  defineRoute({
    name: 'listChanges',
    tag: 'Changes',
    method: 'GET',
    path: '/api/v1/changes',
    summary: 'Changes, the newest first',
    permission: 'project:read',
    reach: 'teams',
    query: changesQuery,
    reply: { json: listOf(changeView) },
  }),
  defineRoute({
    name: 'getChange',
    tag: 'Changes',
    method: 'GET',
    path: '/api/v1/changes/{id}',
    summary: 'One change; waits for its end if asked to',
    permission: 'project:read',
    reach: 'teams',
    params: changeParams,
    query: changeQuery,
    reply: { json: changeView },
  }),
  defineRoute({
    name: 'listOrganizationSecrets',
    tag: 'Secrets',
    method: 'GET',
    path: '/api/v1/secrets',
    summary: 'The secrets of the organization, without their values',
    permission: 'secret:read',
    reach: 'organization',
    reply: { json: listOf(grantedSecretView) },
  }),
  defineRoute({
    name: 'putOrganizationSecret',
    tag: 'Secrets',
    method: 'PUT',
    path: '/api/v1/secrets/{name}',
    summary: 'Set a secret of the organization, such as the pull secret, and which projects may use it',
    permission: 'secret:write',
    reach: 'organization',
    params: organizationSecretParams,
    body: grantedSecretBody,
    reply: { json: grantedSecretView },
  }),
  defineRoute({
    name: 'deleteOrganizationSecret',
    tag: 'Secrets',
    method: 'DELETE',
    path: '/api/v1/secrets/{name}',
    summary: 'Delete a secret of the organization',
    permission: 'secret:write',
    reach: 'organization',
    params: organizationSecretParams,
    reply: {},
  }),
  defineRoute({
    name: 'putPassword',
    tag: 'Access',
    method: 'PUT',
    path: '/api/v1/me/password',
    summary: 'Change your password; not with a token',
    permission: 'self:write',
    reach: 'personal',
    inPerson: true,
    audit: 'room', // recorded as changePassword, however it is changed
    body: passwordBody,
    reply: {},
  }),
  defineRoute({
    name: 'getHealth',
    tag: 'System',
    method: 'GET',
    path: '/health',
    summary: 'Whether the process lives',
    permission: 'public',
    reply: { json: healthView },
  }),
  defineRoute({
    name: 'getReady',
    tag: 'System',
    method: 'GET',
    path: '/ready',
    summary: 'Whether it can work: database, repository, and each cluster',
    permission: 'public',
    reply: { json: readyView },
    also: { status: 503, about: 'The database or the repository is out.', json: readyView },
  }),
  defineRoute({
    name: 'getOpenApi',
    tag: 'System',
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    permission: 'public',
    reply: { json: document },
  }),
  defineRoute({
    name: 'getSchema',
    tag: 'System',
    method: 'GET',
    path: '/schemas/{file}',
    summary: 'JSON Schema of a file that people write, for their editors',
    permission: 'public',
    params: schemaParams,
    reply: { json: document },
  }),
] as const;

type Routes = typeof routes;

/** One handler for each route; rooms give parts of it (`Pick<Handlers, 'getMe' | …>`) and server.ts joins them. */
export type Handlers = HandlersOf<Routes>;
