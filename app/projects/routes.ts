import type { Handlers } from '#contract/routes.ts';
import { getChange, listChanges } from './changes.ts';
import type { ProjectDoors } from './doors.ts';
import { getEnvironment, listEnvironments } from './environments.ts';
import { watchProject } from './follow.ts';
import { confirmProject, reconcileNow, resumeProject, rollbackProject, suspendProject } from './hold.ts';
import { putProject } from './put.ts';
import { getDiff, getHistory, getLogs, getManifests, getProject, listObjects, listProjectsHandler } from './read.ts';
import { deleteProject } from './remove.ts';
import { deleteSecret, getSecret, listSecrets, putSecret } from './secrets.ts';
import { acceptRevision } from './signatures.ts';
import { createSwitchHandlers } from './switches.ts';
import { createWideSecretHandlers } from './wide-secrets.ts';

/** The handlers of everything that is asked about projects, environments and changes. */
export const createProjectHandlers = (doors: ProjectDoors) =>
  ({
    listProjects: listProjectsHandler(doors),
    putProject: putProject(doors),
    getProject: getProject(doors),
    deleteProject: deleteProject(doors),
    getManifests: getManifests(doors),
    getDiff: getDiff(doors),
    getHistory: getHistory(doors),
    watchProject: watchProject(doors),
    listObjects: listObjects(doors),
    getLogs: getLogs(doors),
    reconcileProject: reconcileNow(doors),
    rollbackProject: rollbackProject(doors),
    suspendProject: suspendProject(doors),
    resumeProject: resumeProject(doors),
    confirmProject: confirmProject(doors),
    listSecrets: listSecrets(doors),
    getSecret: getSecret(doors),
    putSecret: putSecret(doors),
    deleteSecret: deleteSecret(doors),
    ...createWideSecretHandlers(doors),
    acceptRevision: acceptRevision(doors),
    ...createSwitchHandlers(doors),
    listEnvironments: listEnvironments(doors),
    getEnvironment: getEnvironment(doors),
    listChanges: listChanges(doors),
    getChange: getChange(doors),
  }) satisfies Partial<Handlers>;
