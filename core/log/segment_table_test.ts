import assert from "node:assert/strict";
import { type SegmentInfo, SegmentTable } from "./segment_table.ts";

function segment(firstIndex: number, startPosition: number): SegmentInfo {
  return { firstIndex, startPosition, path: `${firstIndex}` };
}

Deno.test("SegmentTable finds segments by position and by index", () => {
  const table = new SegmentTable([segment(5, 100), segment(9, 200), segment(30, 1000)]);
  const positions = [99, 100, 199, 200, 999, 1000, 9999].map((at) => table.atPosition(at)?.path);
  assert.deepEqual(positions, [undefined, "5", "5", "9", "9", "30", "30"]);
  assert.deepEqual([4, 5, 8, 9, 31].map((at) => table.atIndex(at)?.path), [undefined, "5", "5", "9", "30"]);
  assert.equal(new SegmentTable([]).atPosition(0), undefined);
});

Deno.test("SegmentTable refuses segments out of order", () => {
  assert.throws(() => new SegmentTable([segment(5, 100), segment(5, 200)]), /Segments out of order/);
  assert.throws(() => new SegmentTable([segment(5, 100), segment(6, 100)]), /Segments out of order/);
});
