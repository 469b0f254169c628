import { Fault } from '#base/errors.ts';
import type { RoleMapping, TeamSync } from '#contract/identity.ts';
import type { Finding } from '#contract/problem.ts';
import { foldText } from './fold.ts';
import { compileTemplate, type Template } from './template.ts';
import { TemplateError } from './template-parse.ts';
import { checkClaims, Work } from './work.ts';

/** What a provider says of a person. Only own properties count. */
export type Claims = Readonly<Record<string, unknown>>;

/** Claims of a size that can be looked at, and what looking at them has cost so far. */
export interface Mapping {
  readonly claims: Claims;
  readonly work: Work;
}

/** @throws Fault IDENTITY_CLAIMS_TOO_LARGE */
export function beginMapping(claims: Claims): Mapping {
  checkClaims(claims);
  return { claims, work: new Work() };
}

export interface RoleDecision {
  /** false: strict, and no rule matches. */
  readonly allowed: boolean;
  /** undefined: nothing is mapped, so the role stays as it is. */
  readonly role?: string;
  /** Which rule matched, counted from 0. */
  readonly rule?: number;
}

/** The role of whom nothing else gives one. */
export const standardRole = 'viewer';

/**
 * The first rule with an output gives the role. A mapping without rules decides only about people who are new.
 *
 * Faults: IDENTITY_MAPPING_TOO_COSTLY | IDENTITY_CLAIMS_TOO_LARGE
 */
export function decideRole(mapping: RoleMapping | undefined, { claims, work }: Mapping): RoleDecision {
  if (mapping === undefined || mapping.rules.length === 0) return { allowed: mapping?.strict !== true };
  const rule = mapping.rules.findIndex(({ expression }) => compiled(expression)(claims, work) !== '');
  const found = mapping.rules[rule];
  if (found !== undefined) return { allowed: true, role: found.role, rule };
  return mapping.strict ? { allowed: false } : { allowed: true, role: mapping.defaultRole ?? standardRole };
}

const groupClaims = ['groups', 'group', 'memberOf', 'member_of', 'roles', 'role', 'teams', 'team'];
const mostGroups = 2000;

/**
 * Faults: IDENTITY_MAPPING_TOO_COSTLY | IDENTITY_CLAIMS_TOO_LARGE
 * @returns undefined: the provider did not say, because there are more groups than fit its answer (Entra does so)
 */
export function groupsOf(sync: TeamSync | undefined, { claims, work }: Mapping): readonly string[] | undefined {
  if (sync?.groupsExpression !== undefined) return listFrom(compiled(sync.groupsExpression)(claims, work));
  for (const name of groupClaims) {
    const groups = Object.hasOwn(claims, name) ? namesIn(claims[name]) : [];
    if (groups.length > 0) return groups;
  }
  return isCutOff(claims) ? undefined : [];
}

/** The teams of these groups, and the groups that bring none. */
export function teamsOf(sync: TeamSync | undefined, groups: readonly string[]) {
  const wanted = new Set(groups.map(fold));
  const pairs = sync?.teams ?? [];
  const mapped = new Set(pairs.map(({ group }) => fold(group)));
  return {
    teams: [...new Set(pairs.filter(({ group }) => wanted.has(fold(group))).map(({ team }) => team))].sort(),
    unmapped: groups.filter((group) => !mapped.has(fold(group))),
  };
}

/** @throws Fault REQUEST_INVALID that names each expression which cannot be read, and why */
export function checkMapping(mapping: RoleMapping | undefined, sync: TeamSync | undefined): void {
  const findings: Finding[] = [];
  const check = (path: string, expression: string | undefined) => {
    const message = expression === undefined ? undefined : faultOf(expression);
    if (message !== undefined) findings.push({ file: 'body', path, message });
  };
  for (const [index, { expression }] of (mapping?.rules ?? []).entries())
    check(`roleMapping.rules.${index}.expression`, expression);
  check('teamSync.groupsExpression', sync?.groupsExpression);
  if (findings.length > 0) throw new Fault('REQUEST_INVALID', { findings });
}

function faultOf(expression: string): string | undefined {
  try {
    compileTemplate(expression);
    return undefined;
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
}

/** What was stored was checked then; should this version not read it any more, it matches nothing. */
function compiled(expression: string): Template {
  try {
    return compileTemplate(expression);
  } catch (error) {
    if (error instanceof TemplateError) return () => '';
    throw error;
  }
}

/** A JSON array, or names between commas. */
function listFrom(text: string): readonly string[] {
  if (text.startsWith('['))
    try {
      return namesIn(JSON.parse(text));
    } catch {
      return [];
    }
  return namesIn(text.split(','));
}

function namesIn(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  const names = list.filter((each) => typeof each === 'string').map((each) => each.trim());
  return [...new Set(names.filter((each) => each !== ''))].slice(0, mostGroups);
}

function isCutOff(claims: Claims): boolean {
  const names = claims._claim_names;
  if (claims.hasgroups === true || claims.hasgroups === 'true') return true;
  return typeof names === 'object' && names !== null && Object.hasOwn(names, 'groups');
}

const fold = (text: string) => foldText(text.trim());
