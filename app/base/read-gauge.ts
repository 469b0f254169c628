import { Gauge, type Registry } from 'prom-client';

/** One value of a gauge. */
export interface Reading<Label extends string> {
  readonly labels: Readonly<Record<Label, string>>;
  readonly value: number;
}

/** A gauge that keeps nothing: its values are read from memory when somebody scrapes. */
export interface ReadGauge<Label extends string> {
  /** Adds whom to ask; readings with the same labels are summed up. Returns how to stop it. */
  from(read: () => Iterable<Reading<Label>>): () => void;
}

export interface ReadGaugeOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly Label[];
  readonly registers: Registry[];
}

/** A label that is gone with its reader is gone from the next scrape. */
export function createReadGauge<Label extends string>(options: ReadGaugeOptions<Label>): ReadGauge<Label> {
  const readers = new Set<() => Iterable<Reading<Label>>>();
  new Gauge({
    ...options,
    labelNames: [...options.labelNames],
    collect() {
      this.reset();
      for (const read of readers) for (const { labels, value } of read()) this.inc({ ...labels }, value);
    },
  });
  return {
    from: (read) => {
      readers.add(read);
      return () => readers.delete(read);
    },
  };
}
