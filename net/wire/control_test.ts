import { deepEqual, equal, throws } from "node:assert/strict";
import { Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { ControlReader, type ControlValue, encodeControl } from "./control.ts";
import { WireError } from "./wire_error.ts";

const read = (fields: unknown, what = "sample") => new ControlReader(new Encoder().encode(fields), what);

Deno.test("ControlReader reads fields in order and names the one that does not fit", () => {
  const reader = read([1, true, "name", new Uint8Array([5]), null]);
  equal(reader.unsigned("number"), 1);
  equal(reader.boolean("flag"), true);
  equal(reader.text("name", 4), "name");
  deepEqual([...reader.bytes("bytes", 1)], [5]);
  equal(reader.optional(() => reader.unsigned("nothing")), undefined);
  reader.end();
  throws(() => reader.unsigned("more"), /^WireError: Cannot read sample: field more is missing$/);
});

Deno.test("ControlReader refuses values of the wrong shape", () => {
  throws(() => read([-1]).unsigned("term"), /term must be a whole number from 0 to \d+, not -1/);
  throws(() => read([1.5]).unsigned("term"), WireError);
  throws(() => read([2 ** 53]).unsigned("term"), WireError);
  throws(() => read([3]).unsigned("type", 2), /from 0 to 2, not 3/);
  throws(() => read(["1"]).unsigned("term"), /not a text of 1 characters/);
  throws(() => read([1]).boolean("flag"), /flag must be true or false/);
  throws(() => read(["12345"]).text("name", 4), /at most 4 characters/);
  throws(() => read([new Uint8Array(3)]).bytes("nonce", 2), /at most 2 bytes, not 3 bytes/);
  throws(() => read([1, 2]).end(), /2 fields after its last one/);
});

Deno.test("ControlReader refuses anything but one flat array", () => {
  for (const value of [1, null, "text", { a: 1 }]) throws(() => read(value), /not a msgpack array/);
  for (const value of [[[1]], [{ a: 1 }], [1, [2, [3]]], [new Date(0)]]) {
    throws(() => read(value).unsigned("x") + read(value).unsigned("y"), WireError);
  }
  throws(() => new ControlReader(new Uint8Array(0), "sample"), /not a msgpack array/);
});

Deno.test("ControlReader compares the announced count with what is there", () => {
  throws(
    () => new ControlReader(new Uint8Array([0x92, 1]), "sample"),
    /1 fields where its array announces 2/,
  );
  throws(
    () => new ControlReader(new Uint8Array([0x91, 1, 2]), "sample"),
    /2 fields where its array announces 1/,
  );
});

Deno.test("ControlReader allocates nothing for announced lengths that are not there", () => {
  const huge = [0xff, 0xff, 0xff, 0xff];
  // An outer array, and inside an array, a map, a text, bytes and an extension of four thousand million elements.
  throws(() => new ControlReader(new Uint8Array([0xdd, ...huge]), "sample"), WireError);
  for (const head of [0xdd, 0xdf, 0xdb, 0xc6, 0xc9]) {
    throws(() => new ControlReader(new Uint8Array([0x91, head, ...huge]), "sample"), WireError);
  }
});

Deno.test("ControlReader turns any bytes into fields or a WireError", () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.uint8Array({ maxLength: 60 }).map((bytes) => new Uint8Array([0x90 + (bytes.length & 15), ...bytes])),
  );
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      try {
        new ControlReader(bytes, "sample");
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("encodeControl() and ControlReader agree on any scalars", () => {
  const value: fc.Arbitrary<ControlValue> = fc.oneof(
    fc.maxSafeNat(),
    fc.boolean(),
    fc.string({ unit: "grapheme", maxLength: 20 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constant(null),
  );
  fc.assert(fc.property(fc.array(value, { maxLength: 70 }), (fields) => {
    const reader = new ControlReader(encodeControl(fields), "sample");
    const found = fields.map((field) => {
      if (field === null) return reader.optional(() => 1) ?? null;
      if (typeof field === "number") return reader.unsigned("number");
      if (typeof field === "boolean") return reader.boolean("flag");
      return typeof field === "string"
        ? reader.text("text", 1_000)
        : new Uint8Array(reader.bytes("bytes", 300));
    });
    reader.end();
    deepEqual(found, fields);
  }));
});
