/**
 * Joins what is asked for side by side: the first item goes at once, and what comes while it is under way goes
 * together in the next call. With nothing else going on this costs nothing; under load, one call does the work of many.
 *
 *     const write = createBatch(100, (records) => writeRecords(database, records));
 *     await write(record);
 *
 * A call that fails is made again for each of its items alone, so that one bad item fails alone.
 * @param most items in one call
 */
export function createBatch<Item>(
  most: number,
  run: (items: readonly Item[]) => Promise<void>,
): (item: Item) => Promise<void> {
  let waiting: { readonly item: Item; readonly done: PromiseWithResolvers<void> }[] = [];
  let running = false;

  const runAll = async (items: readonly Item[]): Promise<readonly PromiseSettledResult<void>[]> => {
    const [together] = await Promise.allSettled([run(items)]);
    if (together.status === 'fulfilled' || items.length === 1) return items.map(() => together);
    return await Promise.allSettled(items.map((item) => run([item])));
  };

  const pump = async () => {
    running = true;
    while (waiting.length > 0) {
      const now = waiting.slice(0, most);
      waiting = waiting.slice(most);
      const results = await runAll(now.map(({ item }) => item));
      for (const [i, { done }] of now.entries()) {
        const result = results[i]!; // as many as items
        if (result.status === 'fulfilled') done.resolve();
        else done.reject(result.reason);
      }
    }
    running = false;
  };

  return (item) => {
    const done = Promise.withResolvers<void>();
    waiting.push({ item, done });
    if (!running) void pump();
    return done.promise;
  };
}
