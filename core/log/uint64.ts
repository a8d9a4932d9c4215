import { assert } from "../base/assert.ts";

const TWO_TO_32 = 0x1_0000_0000;

/** Writes a safe integer as eight bytes, little-endian. Without BigInt, because it is on the append path. */
export function setUint64(view: DataView, offset: number, value: number): void {
  assert(
    Number.isSafeInteger(value) && value >= 0,
    () => `Cannot write ${value} as an unsigned 64-bit number`,
  );
  view.setUint32(offset, value % TWO_TO_32, true);
  view.setUint32(offset + 4, Math.floor(value / TWO_TO_32), true);
}

/** The number at `offset`; NaN when it is no safe integer, which no writer produces. */
export function getUint64(view: DataView, offset: number): number {
  const value = view.getUint32(offset + 4, true) * TWO_TO_32 + view.getUint32(offset, true);
  return Number.isSafeInteger(value) ? value : NaN;
}
