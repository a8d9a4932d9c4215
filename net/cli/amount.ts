/** Lengths of time and sizes as people write them, such as `90m` and `256MiB`. Pure. */

interface Unit {
  readonly name: string;
  readonly factor: number;
}

/** From the largest to the smallest. */
const TIME_UNITS: readonly Unit[] = [
  { name: "d", factor: 86_400_000 },
  { name: "h", factor: 3_600_000 },
  { name: "m", factor: 60_000 },
  { name: "s", factor: 1_000 },
  { name: "ms", factor: 1 },
];
const SIZE_UNITS: readonly Unit[] = [
  { name: "TiB", factor: 2 ** 40 },
  { name: "GiB", factor: 2 ** 30 },
  { name: "MiB", factor: 2 ** 20 },
  { name: "KiB", factor: 2 ** 10 },
];

/** In milliseconds; undefined for what is no duration. A number needs its unit, but for 0. */
export function parseDuration(text: string): number | undefined {
  return text === "0" ? 0 : parse(text, TIME_UNITS);
}

/** In bytes; undefined for what is no size. A number without a unit is bytes. */
export function parseSize(text: string): number | undefined {
  return /^\d+$/.test(text) ? exact(Number(text)) : parse(text, SIZE_UNITS);
}

/** In the largest unit that gives a whole number, so that `parseDuration` gives the same back. */
export function formatDuration(milliseconds: number): string {
  return format(milliseconds, TIME_UNITS);
}

export function formatSize(bytes: number): string {
  return format(bytes, SIZE_UNITS);
}

function parse(text: string, units: readonly Unit[]): number | undefined {
  const [, digits, name] = /^(\d+)([A-Za-z]+)$/.exec(text) ?? [];
  const unit = units.find((each) => each.name.toLowerCase() === name?.toLowerCase());
  return unit === undefined ? undefined : exact(Number(digits) * unit.factor);
}

function exact(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined;
}

function format(value: number, units: readonly Unit[]): string {
  const unit = value === 0 ? undefined : units.find(({ factor }) => value % factor === 0);
  return unit === undefined ? String(value) : `${value / unit.factor}${unit.name}`;
}
