import type { Handlers } from '#contract/routes.ts';
import type { Role, Roles } from './custom-roles.ts';

type RoleHandlers = Pick<Handlers, 'listRoles' | 'getRole' | 'putRole' | 'deleteRole'>;

/** Roles, and what each may do. */
export function createRoleHandlers({ roles }: { readonly roles: Roles }): RoleHandlers {
  const find = async (name: string) => (await roles.list()).find((role) => role.name === name);
  return {
    listRoles: async () => ({ json: { items: (await roles.list()).map(viewOf), next: null } }),
    getRole: async ({ params: { role } }) => ({ json: viewOf(await roles.get(role)) }),
    putRole: async ({ caller, params: { role: name }, body: { about, grants } }) => {
      const before = await find(name);
      const made = await roles.put(caller, { name, about, grants });
      return { json: viewOf(made), audit: { before: before && viewOf(before), after: viewOf(made) } };
    },
    deleteRole: async ({ caller, params: { role } }) => {
      const before = await find(role);
      await roles.remove(caller, role);
      return { audit: { before: before && viewOf(before) } };
    },
  };
}

const viewOf = ({ grants, ...role }: Role) => ({ ...role, grants: { ...grants } });
