import { deepEqual, equal, ok } from "node:assert/strict";
import { encodeFrame, frameBytes, FrameKind } from "../wire/frame.ts";
import { Gatherer } from "./gather.ts";

const sample = (...bodyBytes: number[]) =>
  encodeFrame(
    FrameKind.append,
    new Uint8Array(5).fill(1),
    bodyBytes.map((bytes) => new Uint8Array(bytes).fill(bytes)),
  );
const join = (pieces: readonly Uint8Array[]) => pieces.flatMap((piece) => [...piece]);

Deno.test("Gatherer turns small frames into one write", () => {
  const frames = [sample(10), sample(), sample(4_096, 4_096), sample(100)];
  const pieces = new Gatherer().gather(frames);
  equal(pieces.length, 1);
  deepEqual(join(pieces), frames.flatMap((frame) => [...frameBytes(frame)]));
});

Deno.test("Gatherer writes large bodies from where they lie", () => {
  const frame = sample(100, 50_000, 10, 60_000);
  const frames = [sample(10), frame, sample(10)];
  const pieces = new Gatherer().gather(frames);
  equal(pieces.length, 5);
  ok(pieces[1] === frame.bodies[1] && pieces[3] === frame.bodies[3]);
  deepEqual(join(pieces), frames.flatMap((each) => [...frameBytes(each)]));
});

Deno.test("Gatherer goes on past a full buffer", () => {
  const frames = Array.from({ length: 20 }, (_, index) => sample(20_000 + index, 3));
  const gatherer = new Gatherer();
  for (let round = 0; round < 2; round++) {
    deepEqual(join(gatherer.gather(frames)), frames.flatMap((frame) => [...frameBytes(frame)]));
  }
});

Deno.test("Gatherer copies nothing for one frame without a body", () => {
  const frame = sample();
  ok(new Gatherer().gather([frame])[0] === frame.head);
  deepEqual(new Gatherer().gather([]), []);
});
