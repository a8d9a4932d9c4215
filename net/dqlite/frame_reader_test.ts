import { deepEqual, equal, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { SeededRandom } from "../../tests/support/seeded_random.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { FailureCode, failureOf } from "./failure_codes.ts";
import { beginFrame, endFrame, type Frame, FrameError, writeHead } from "./frame.ts";
import { FrameReader } from "./frame_reader.ts";
import { decodeRequest } from "./request_codec.ts";

interface Sample {
  readonly type: number;
  readonly schema: number;
  readonly words: number;
}

function streamOf(samples: readonly Sample[]): Uint8Array {
  const writer = new TupleWriter();
  for (const { type, schema, words } of samples) {
    const start = beginFrame(writer);
    for (let word = 0; word < words; word++) writer.u64(word * 1_000 + type);
    endFrame(writer, start, type, schema);
  }
  return writer.take();
}

function readAll(bytes: Uint8Array, chunkBytes: number, reader = new FrameReader(4_096)): Frame[] {
  const frames: Frame[] = [];
  for (let offset = 0; offset < bytes.byteLength; offset += chunkBytes) {
    // A buffer that changes once it is used up, as that of a socket does.
    const chunk = bytes.slice(offset, offset + chunkBytes);
    reader.push(chunk);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) frames.push(frame);
    chunk.fill(0xaa);
  }
  return frames;
}

const plain = ({ type, schema, body }: Frame) => ({ type, schema, body: body.toHex() });

Deno.test("FrameReader gives back any frames in any chunking", () => {
  const sample = fc.record({
    type: fc.integer({ min: 0, max: 255 }),
    schema: fc.integer({ min: 0, max: 255 }),
    words: fc.integer({ min: 1, max: 30 }),
  });
  fc.assert(
    fc.property(
      fc.array(sample, { maxLength: 6 }),
      fc.integer({ min: 1, max: 50 }),
      (samples, chunkBytes) => {
        const reader = new FrameReader(4_096);
        const frames = readAll(streamOf(samples), chunkBytes, reader);
        const expected = samples.map((each) => ({
          type: each.type,
          schema: each.schema,
          body: streamOf([each]).subarray(8).toHex(),
        }));
        deepEqual(frames.map(plain), expected);
        equal(reader.isMidFrame, false);
      },
    ),
  );
});

Deno.test("FrameReader knows that it is in the middle of a frame", () => {
  const bytes = streamOf([{ type: 1, schema: 0, words: 3 }]);
  for (let end = 1; end < bytes.byteLength; end++) {
    const reader = new FrameReader();
    deepEqual(readAll(bytes.subarray(0, end), 5, reader), []);
    equal(reader.isMidFrame, true, `${end} bytes`);
  }
});

Deno.test("FrameReader gives the opening word before the frames, in any chunking", () => {
  const opening = Uint8Array.fromHex("0100000000000000");
  const frames = streamOf([{ type: 3, schema: 1, words: 2 }]);
  const bytes = new Uint8Array([...opening, ...frames]);
  for (let chunkBytes = 1; chunkBytes <= bytes.byteLength; chunkBytes++) {
    const reader = new FrameReader();
    let word: bigint | undefined;
    const read: Frame[] = [];
    for (let offset = 0; offset < bytes.byteLength; offset += chunkBytes) {
      reader.push(bytes.slice(offset, offset + chunkBytes));
      if (word === undefined) word = reader.takeWord()?.getBigUint64(0, true);
      if (word === undefined) continue;
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) read.push(frame);
    }
    equal(word, 1n);
    deepEqual(read.map(plain), [{ type: 3, schema: 1, body: frames.subarray(8).toHex() }]);
  }
});

Deno.test("FrameReader refuses an empty body and one above the limit, the limit itself not", () => {
  const read = (words: number) => {
    const head = new Uint8Array(8);
    new DataView(head.buffer).setUint32(0, words, true);
    readAll(head, 8);
  };
  read(512);
  throws(() => read(0), FrameError);
  throws(() => read(513), /Cannot receive a frame of 4104 bytes: the limit is 4096/);
  throws(() => read(0xffff_ffff), /Cannot receive a frame of 34359738360 bytes/);
});

Deno.test("FrameReader takes memory as bytes arrive, not as they are announced", () => {
  const MIB = 1024 * 1024;
  const before = Deno.memoryUsage().external;
  const readers = Array.from({ length: 200 }, () => {
    const writer = new TupleWriter();
    writeHead(writer, 64 * MIB, 8);
    const reader = new FrameReader();
    reader.push(writer.take());
    equal(reader.next(), undefined);
    return reader;
  });
  const grown = Deno.memoryUsage().external - before;
  ok(grown < 40 * MIB, `${grown} bytes for ${readers.length} heads`);
});

Deno.test("FrameReader and what follows turn any stream into requests and Failures, or end it", () => {
  const random = new SeededRandom(0xf4a3e);
  const outcomes = { request: 0, failure: 0, closed: 0 };
  const good = streamOf([
    { type: 7, schema: 0, words: 1 },
    { type: 3, schema: 0, words: 6 },
    { type: 9, schema: 1, words: 9 },
    { type: 30, schema: 0, words: 2 },
  ]);
  for (let round = 0; round < 5_000; round++) {
    const bytes = good.slice();
    for (let flips = random.integer(0, 3); flips > 0; flips--) {
      bytes[random.integer(0, bytes.byteLength - 1)] = random.word();
    }
    const reader = new FrameReader(4_096);
    try {
      for (const frame of readAll(bytes, random.integer(1, 200), reader)) {
        try {
          decodeRequest(frame);
          outcomes.request += 1;
        } catch (error) {
          ok(failureOf(error).code !== FailureCode.internal, String(error));
          outcomes.failure += 1;
        }
      }
    } catch (error) {
      ok(error instanceof FrameError, String(error));
      outcomes.closed += 1;
    }
  }
  for (const [name, count] of Object.entries(outcomes)) ok(count > 100, `${name}: ${count}`);
});

Deno.test("FrameReader gives a large frame whole", () => {
  const sample = { type: 9, schema: 0, words: 100_000 };
  const bytes = streamOf([sample, sample]);
  for (const chunkBytes of [65_536, 30_001]) {
    const frames = readAll(bytes, chunkBytes, new FrameReader());
    equal(frames.length, 2);
    for (const { body } of frames) {
      equal(body.byteLength, 800_000);
      deepEqual(body, bytes.subarray(8, 800_008));
    }
  }
});

Deno.test("endFrame() never sends an empty body", () => {
  const writer = new TupleWriter();
  const start = beginFrame(writer);
  throws(() => endFrame(writer, start, 8), /Cannot send a body of 0 bytes/);
  writer.u32(1);
  throws(() => endFrame(writer, start, 8), /Cannot send a body of 4 bytes/);
});
