import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import fc from "fast-check";
import { crc32 } from "../codec/crc32.ts";
import {
  decodeEntryBody,
  encodeActivate,
  encodeCreate,
  encodeDrop,
  encodePages,
  EntryBodyError,
  type Frame,
  framePositions,
  type PagesBody,
} from "./entry_body.ts";

const options = {
  wallMs: 1_800_000_000_000,
  databaseId: 7,
  pageSize: 512,
  pageCount: 9,
  entryBytesMax: 4_096,
};

function frame(pageNumber: number, fill: number): Frame {
  return { pageNumber, bytes: new Uint8Array(512).fill(fill) };
}

function decodePages(bytes: Uint8Array): PagesBody {
  const body = decodeEntryBody(bytes);
  if (body.kind !== "pages") throw new Error(`expected pages, got ${body.kind}`);
  return body;
}

Deno.test("encodeCreate(), encodeDrop(), encodeActivate() come back as they were", () => {
  const create = { wallMs: 5, name: "größe", staged: true, pageSize: 65_536 };
  deepStrictEqual(decodeEntryBody(encodeCreate(create)), { kind: "create", ...create });
  const reference = { wallMs: 2 ** 42, databaseId: 2 ** 53 - 1 };
  deepStrictEqual(decodeEntryBody(encodeDrop(reference)), { kind: "drop", ...reference });
  deepStrictEqual(decodeEntryBody(encodeActivate(reference)), { kind: "activate", ...reference });
});

Deno.test("encodePages() puts a small transaction into one entry, with a checksum for each page", () => {
  const [bytes, ...more] = encodePages([frame(3, 1), frame(1, 2)], options);
  strictEqual(more.length, 0);
  const body = decodePages(bytes as Uint8Array);
  deepStrictEqual([body.first, body.last, body.pageCount], [true, true, 9]);
  deepStrictEqual([...body.pageNumbers], [3, 1]);
  const [position] = framePositions(body, 10_000);
  const offset = (position as number) - 10_000;
  deepStrictEqual((bytes as Uint8Array).subarray(offset, offset + 512), frame(3, 1).bytes);
  strictEqual(body.checksums[1], crc32(frame(1, 2).bytes));
});

Deno.test("encodePages() cuts a large transaction; only its ends are marked and only the last part has the size", () => {
  const frames = Array.from({ length: 20 }, (_, i) => frame(i + 1, i));
  const parts = encodePages(frames, options).map(decodePages);
  strictEqual(parts.length, 3);
  deepStrictEqual(parts.map((part) => [part.first, part.last, part.pageCount]), [
    [true, false, 0],
    [false, false, 0],
    [false, true, 9],
  ]);
  deepStrictEqual(parts.flatMap((part) => [...part.pageNumbers]), frames.map((each) => each.pageNumber));
});

Deno.test("decodeEntryBody() refuses a newer version by name", () => {
  const bytes = encodeDrop({ wallMs: 1, databaseId: 1 });
  bytes[2] = 2;
  throws(() => decodeEntryBody(bytes), /version 2/);
});

Deno.test("decodeEntryBody() gives a value or an EntryBodyError for any bytes", () => {
  const [valid] = encodePages([frame(1, 1)], options);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(79), (noise, at) => {
      for (const bytes of [noise, mutate((valid as Uint8Array).slice(), noise, at)]) {
        try {
          decodeEntryBody(bytes);
        } catch (error) {
          if (!(error instanceof EntryBodyError)) throw error;
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

function mutate(bytes: Uint8Array, noise: Uint8Array, at: number): Uint8Array {
  bytes.set(noise.subarray(0, 4), at);
  return bytes;
}
