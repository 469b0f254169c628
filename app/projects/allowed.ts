import type { z } from 'zod';
import type { allowedView, windowView } from '#contract/switches.ts';
import type { ProjectKey } from '#environments/layout.ts';
import { type Action, actions } from '#environments/operations.ts';
import type { Environment } from '#environments/schema.ts';
import { allowedNow, modeOf, type Switch } from '#reconcile/allowed.ts';
import { windowsOf } from '#reconcile/windows.ts';
import type { ProjectDoors } from './doors.ts';
import { type SwitchRow, switchesOf } from './switch-store.ts';

const toSwitch = ({ action, reason, actor, until, team, project }: SwitchRow): Switch => ({
  action,
  reason,
  actor,
  until: until ?? undefined,
  wide: team === '' ? 'environment' : project === '' ? 'team' : undefined,
});

/** What may be done to a project now and why not more, and the windows that are about it. */
export async function allowedViews(
  doors: ProjectDoors,
  key: ProjectKey,
  environment: Environment,
  mode: string | undefined,
): Promise<{ allowed: z.input<typeof allowedView>; windows: z.input<typeof windowView>[] }> {
  const now = doors.clock.now();
  const switches = (await switchesOf(doors.database, key, now)).map(toSwitch);
  const allowed = allowedNow({ key, environment, mode: modeOf(mode), switches, manual: false, now });
  const because = actions.map((action) => [action, allowed.because[action] ?? null]);
  return {
    allowed: {
      mode: allowed.mode,
      ...(Object.fromEntries(because) as Record<Action, string | null>), // one entry for each action
      until: allowed.until?.toISOString() ?? null,
    },
    windows: windowsOf(environment, key, now).map(({ window, open, until }) => ({
      kind: window.kind,
      open,
      until: until?.toISOString() ?? null,
      schedule: window.schedule,
      duration: window.duration,
      timeZone: window.timeZone,
      actions: window.actions,
      manual: window.manual,
      reason: window.reason,
    })),
  };
}
