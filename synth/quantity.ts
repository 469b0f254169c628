const factors: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity as a number of its unit (cores, bytes); its form was checked by the schema. */
export function amountOf(quantity: string): number {
  const [, digits = '0', unit = ''] = /^([\d.]+)(\D*)$/.exec(quantity) ?? [];
  return Number(digits) * (factors[unit] ?? 1);
}

/** The larger of two quantities, as it was written; the first where they are equal. */
export const larger = (a: string, b: string): string => (amountOf(a) >= amountOf(b) ? a : b);

/** Bytes for a person: the largest binary unit that leaves a short number. */
export function bytesText(bytes: number): string {
  for (const unit of ['Gi', 'Mi', 'Ki']) {
    const size = bytes / (factors[unit] ?? 1);
    if (size >= 1) return `${Math.round(size * 10) / 10}${unit}`;
  }
  return String(bytes);
}
