import type { Parser } from './setting.ts';

const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const inWords = { ms: 'milliseconds', s: 'seconds', m: 'minutes', h: 'hours', d: 'days', w: 'weeks' } as const;
const kibi = 1024;
const powers: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 };

/** A time in milliseconds: `90s`, `10m`, `1.5h`, `30d`. A plain number counts in the unit of the reference. */
export function duration(plain: keyof typeof unitsMs): Parser<number> {
  return (text) => {
    const [, amount, unit = plain] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?$/.exec(text.trim()) ?? [];
    // The expression lets no other unit through.
    const milliseconds = Math.round(Number(amount) * unitsMs[unit as keyof typeof unitsMs]);
    if (amount === undefined || !Number.isSafeInteger(milliseconds) || milliseconds < 1)
      throw new Error(`a time such as 90s, 10m, 2h or 30d (a plain number counts ${inWords[plain]})`);
    return milliseconds;
  };
}

/** A size in bytes: plain, or `50MB`, `100KB`, `1GB`, `10Gi`. As the reference has it, 1 KB is 1,024 bytes. */
export const bytes: Parser<number> = (text) => {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B?)$/i.exec(text.trim()) ?? [];
  const value = Math.round(Number(amount) * kibi ** (powers[unit.toUpperCase()] ?? Number.NaN));
  if (amount === undefined || !Number.isSafeInteger(value) || value < 1)
    throw new Error('a size such as 52428800, 50MB or 1GB');
  return value;
};

/** A size as Kubernetes writes it, for manifests: `10Gi`. A plain number counts bytes, as there. */
export const quantity: Parser<string> = (text) => {
  const written = text.trim();
  if (/^\d{1,12}(\.\d{1,3})?(k|[MGTPE]|[KMGTPE]i)$/.test(written) && Number.parseFloat(written) > 0) return written;
  const value = Number(written);
  if (/^\d+$/.test(written) && Number.isSafeInteger(value) && value > 0 && value % kibi === 0) return inKibi(value);
  throw new Error('an amount with its unit such as 10Gi');
};

function inKibi(value: number): string {
  const units = ['Ki', 'Mi', 'Gi', 'Ti'];
  let amount = value / kibi;
  let unit = 0;
  while (amount % kibi === 0 && unit < units.length - 1) {
    amount /= kibi;
    unit += 1;
  }
  return `${amount}${units[unit]}`;
}
