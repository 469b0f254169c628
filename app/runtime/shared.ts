import type { Runtime, RuntimeEvents } from './runtime.ts';

/** One runtime for several environments: one client and one set of watches, however many live on the cluster. */
export interface SharedRuntime {
  /** A runtime of its own to whoever gets it: it starts, hears and stops for itself. */
  join(): Runtime;
}

/**
 * The cluster is watched from the first start to the last stop. Everybody hears of every namespace: whose it is, its
 * name says.
 * @param ended the last one has stopped; the next who wants the cluster makes a new runtime
 */
export function shareRuntime(runtime: Runtime, ended: () => void): SharedRuntime {
  const joined = new Set<object>();
  const listening = new Set<RuntimeEvents>();
  let begun = false;
  let told = false;
  const everybody: RuntimeEvents = {
    changed: (namespace) => {
      for (const events of listening) events.changed(namespace);
    },
    state: (state) => {
      told = true;
      for (const events of listening) events.state(state);
    },
  };

  return {
    join: () => {
      const view = {};
      let own: RuntimeEvents | undefined;
      joined.add(view);
      return {
        ...runtime,
        start: (events) => {
          own = events;
          listening.add(events);
          // What the others were told before is news to this one.
          if (told) queueMicrotask(() => listening.has(events) && events.state(runtime.state()));
          if (begun) return;
          begun = true;
          runtime.start(everybody);
        },
        stop: async () => {
          if (own !== undefined) listening.delete(own);
          if (!joined.delete(view) || joined.size > 0) return;
          ended();
          await runtime.stop();
        },
      };
    },
  };
}
