/**
 * The shortest circle through `name`, its names in order and the first one again at the end; empty: there is none.
 * @param on what a name depends on
 */
export function circleThrough(name: string, on: (name: string) => readonly string[]): readonly string[] {
  const from = new Map<string, string>();
  let front = [name];
  while (front.length > 0) {
    const next: string[] = [];
    for (const at of front)
      for (const to of on(at)) {
        if (to === name) return wayTo(at, name, from);
        if (from.has(to)) continue;
        from.set(to, at);
        next.push(to);
      }
    front = next;
  }
  return [];
}

function wayTo(last: string, name: string, from: ReadonlyMap<string, string>): readonly string[] {
  const way = [name];
  for (let at: string | undefined = last; at !== undefined && at !== name; at = from.get(at)) way.push(at);
  return [...way, name].reverse();
}
