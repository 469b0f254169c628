import { newTokenView, passwordBody, tokenBody, tokenParams, tokenView } from './access.ts';
import { callerView } from './caller.ts';
import { changeParams, changeQuery, changesQuery, changeView } from './changes.ts';
import { environmentDetail, environmentView } from './environments.ts';
import { projectRoutes } from './project-routes.ts';
import { defineRoute, type HandlersOf } from './route.ts';
import { document, healthView, readyView, schemaParams } from './system.ts';
import { environmentParams, listOf } from './values.ts';

/** Every route of the control plane. Server, OpenAPI, console and command line are made from this table. */
export const routes = [
  ...projectRoutes,
  defineRoute({
    name: 'listEnvironments',
    tag: 'Environments',
    method: 'GET',
    path: '/api/v1/environments',
    summary: 'The environments with their runtimes',
    permission: 'environment:read',
    reply: { json: listOf(environmentView) },
  }),
  defineRoute({
    name: 'getEnvironment',
    tag: 'Environments',
    method: 'GET',
    path: '/api/v1/environments/{environment}',
    summary: 'One environment with its settings; as YAML environment.yaml as it was written',
    permission: 'environment:read',
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
    params: changeParams,
    query: changeQuery,
    reply: { json: changeView },
  }),
  defineRoute({
    name: 'createToken',
    tag: 'Access',
    method: 'POST',
    path: '/api/v1/tokens',
    summary: 'Make a token that acts for you',
    permission: 'token:write',
    body: tokenBody,
    reply: { json: newTokenView },
    status: 201,
  }),
  defineRoute({
    name: 'listTokens',
    tag: 'Access',
    method: 'GET',
    path: '/api/v1/tokens',
    summary: 'Your tokens, without their secret part',
    permission: 'token:read',
    reply: { json: listOf(tokenView) },
  }),
  defineRoute({
    name: 'deleteToken',
    tag: 'Access',
    method: 'DELETE',
    path: '/api/v1/tokens/{id}',
    summary: 'Revoke a token; it ends at once',
    permission: 'token:write',
    params: tokenParams,
    reply: {},
  }),
  defineRoute({
    name: 'getMe',
    tag: 'Access',
    method: 'GET',
    path: '/api/v1/me',
    summary: 'Who you are here',
    permission: 'self:read',
    reply: { json: callerView },
  }),
  defineRoute({
    name: 'putPassword',
    tag: 'Access',
    method: 'PUT',
    path: '/api/v1/me/password',
    summary: 'Change your password; not with a token',
    permission: 'password:write',
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
