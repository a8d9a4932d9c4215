import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import type { EncodedFrame } from "../wire/frame.ts";
import { type Lane, SendQueue } from "./send_queue.ts";

const frame = (byteLength: number, tag = 0): EncodedFrame => ({
  head: new Uint8Array([tag]),
  bodies: [],
  byteLength,
});
const tags = (frames: readonly EncodedFrame[]) => frames.map(({ head }) => head[0]);

Deno.test("SendQueue sends urgent frames first and keeps the order within a lane", () => {
  const queue = new SendQueue(1_000, 0);
  const lanes: Lane[] = ["bulk", "urgent", "bulk", "urgent"];
  for (const [tag, lane] of lanes.entries()) queue.push({ frame: frame(10, tag), lane });
  deepEqual(tags(queue.take(1_000)), [1, 3, 0, 2]);
  equal(queue.isEmpty, true);
});

Deno.test("SendQueue drops the newest frame when it is full, and counts what is being written", () => {
  const queue = new SendQueue(100, 0);
  equal(queue.push({ frame: frame(60), lane: "bulk" }), true);
  equal(queue.push({ frame: frame(41), lane: "bulk" }), false);
  equal(queue.push({ frame: frame(40), lane: "bulk" }), true);
  equal(queue.take(50).length, 1);
  equal(queue.push({ frame: frame(1), lane: "bulk" }), false, "60 bytes are being written");
  queue.release();
  equal(queue.bytes, 40);
  equal(queue.push({ frame: frame(60), lane: "bulk" }), true);
});

Deno.test("SendQueue keeps a reserve for urgent frames", () => {
  const queue = new SendQueue(100, 20);
  equal(queue.push({ frame: frame(81), lane: "bulk" }), false);
  equal(queue.push({ frame: frame(80), lane: "bulk" }), true);
  equal(queue.push({ frame: frame(1), lane: "bulk" }), false);
  equal(queue.push({ frame: frame(20), lane: "urgent" }), true);
  equal(queue.push({ frame: frame(1), lane: "urgent" }), false);
});

Deno.test("SendQueue keeps only the newest frame of a slot, at the place of the oldest", () => {
  const queue = new SendQueue(1_000, 0);
  const push = (tag: number, slot?: string) =>
    queue.push({ frame: frame(10, tag), lane: "urgent", ...(slot === undefined ? {} : { slot }) });
  for (const [tag, slot] of [[1], [2, "h"], [3], [4, "h"], [5, "h"], [6, "p"]] as const) push(tag, slot);
  equal(queue.bytes, 40);
  deepEqual(tags(queue.take(1_000)), [1, 5, 3, 6]);
  queue.release();
  push(7, "h");
  deepEqual(tags(queue.take(1_000)), [7]);
});

Deno.test("SendQueue takes at least one frame, and more only while they fit", () => {
  const queue = new SendQueue(1_000, 0);
  for (const bytes of [300, 50, 50, 50]) queue.push({ frame: frame(bytes, bytes), lane: "bulk" });
  deepEqual(tags(queue.take(100)), [300 % 256]);
  deepEqual(queue.take(100).length, 2);
  deepEqual(queue.take(100).length, 1);
  deepEqual(queue.take(100).length, 0);
});

Deno.test("SendQueue leaves out frames nobody wants any more", () => {
  const queue = new SendQueue(1_000, 0);
  queue.push({ frame: frame(10, 1), lane: "bulk", onTake: () => false });
  queue.push({ frame: frame(10, 2), lane: "bulk", onTake: () => true });
  deepEqual(tags(queue.take(1_000)), [2]);
  equal(queue.bytes, 10);
});

Deno.test("SendQueue never holds more than its bound and loses nothing it took in", () => {
  const step = fc.oneof(
    fc.record({
      bytes: fc.integer({ min: 1, max: 60 }),
      lane: fc.constantFrom<Lane>("urgent", "bulk"),
      slot: fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
    }),
    fc.constant("take" as const),
    fc.constant("release" as const),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const queue = new SendQueue(200, 50);
    const model: { tag: number; lane: Lane; slot: string | undefined }[] = [];
    const taken: (number | undefined)[] = [];
    const expected: number[] = [];
    const takeModel = (count: number) => {
      model.sort((left, right) => Number(left.lane === "bulk") - Number(right.lane === "bulk"));
      expected.push(...model.splice(0, count).map(({ tag }) => tag));
    };
    for (const [tag, value] of steps.entries()) {
      if (value === "release") queue.release();
      else if (value === "take") {
        const frames = tags(queue.take(70));
        taken.push(...frames);
        takeModel(frames.length);
      } else {
        const { bytes, lane, slot } = value;
        if (!queue.push({ frame: frame(bytes, tag), lane, ...(slot === undefined ? {} : { slot }) })) {
          continue;
        }
        const replaced = model.find((item) => slot !== undefined && item.slot === slot && item.lane === lane);
        if (replaced === undefined) model.push({ tag, lane, slot });
        else replaced.tag = tag;
      }
      ok(queue.bytes <= 200);
    }
    for (let frames = tags(queue.take(70)); frames.length > 0; frames = tags(queue.take(70))) {
      taken.push(...frames);
      takeModel(frames.length);
    }
    deepEqual(taken, expected);
  }));
});
