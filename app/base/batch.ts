/**
 * Joins what is asked for side by side: the first item goes at once, and what comes while it is under way goes
 * together in the next call. With nothing else going on this costs nothing; under load, one call does the work of many.
 *
 *     const read = createBatch(100, (keys) => readOrders(database, keys));
 *     const orders = await read(key);
 *
 * A call that fails is made again for each of its items alone, so that one bad item fails alone.
 * @param most items in one call
 * @param run gives one result for each item, in their order
 * @param atOnce calls side by side, so that one that takes long does not hold up what comes after it. Default 1.
 */
export function createBatch<Item, Result>(
  most: number,
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  atOnce = 1,
): (item: Item) => Promise<Result> {
  let waiting: { readonly item: Item; readonly done: PromiseWithResolvers<Result> }[] = [];
  let running = 0;

  const serve = async (asked: typeof waiting): Promise<void> => {
    try {
      const results = await run(asked.map(({ item }) => item));
      // As many as items.
      for (const [i, { done }] of asked.entries()) done.resolve(results[i] as Result);
    } catch (error) {
      if (asked.length === 1) asked[0]?.done.reject(error);
      else await Promise.all(asked.map((one) => serve([one])));
    }
  };

  const pump = async () => {
    running += 1;
    while (waiting.length > 0) {
      const now = waiting.slice(0, most);
      waiting = waiting.slice(most);
      await serve(now);
    }
    running -= 1;
  };

  return (item) => {
    const done = Promise.withResolvers<Result>();
    waiting.push({ item, done });
    if (running < atOnce) void pump();
    return done.promise;
  };
}
