import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { AssertionError } from "../base/assert.ts";
import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";

Deno.test("ByteWriter writes little-endian fields one after the other", () => {
  const writer = new ByteWriter(1).u8(1).u16(0x0203).u32(0x04050607).u64(0x1_0000_0002).text("é");
  deepEqual(
    [...writer.finish()],
    [1, 3, 2, 7, 6, 5, 4, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0xa9],
  );
});

Deno.test("ByteWriter refuses values that do not fit", () => {
  const writer = new ByteWriter();
  throws(() => writer.u8(256), AssertionError);
  throws(() => writer.u16(-1), AssertionError);
  throws(() => writer.u32(1.5), AssertionError);
  throws(() => writer.u64(2 ** 53), AssertionError);
  throws(() => writer.i64(2n ** 63n), AssertionError);
  throws(() => writer.patchU32(0, 1), AssertionError);
  equal(writer.length, 0);
});

Deno.test("ByteWriter patches a length known only later", () => {
  const writer = new ByteWriter(2).u32(0).bytes(new Uint8Array([9, 9]));
  writer.patchU32(0, writer.length - 4);
  deepEqual([...writer.finish()], [2, 0, 0, 0, 9, 9]);
});

Deno.test("ByteWriter and ByteReader agree on any fields", () => {
  const fields = fc.record({
    u8: fc.nat(0xff),
    u16: fc.nat(0xffff),
    u32: fc.nat(0xffff_ffff),
    u64: fc.maxSafeNat(),
    i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    f64: fc.double(),
    bytes: fc.uint8Array({ maxLength: 300 }),
    text: fc.string({ unit: "binary", maxLength: 40 }),
  });
  fc.assert(fc.property(fields, fc.nat(64), (value, capacityBytes) => {
    const writer = new ByteWriter(capacityBytes).u8(value.u8).u16(value.u16).u32(value.u32).u64(value.u64);
    writer.i64(value.i64).f64(value.f64).bytesWithLength(value.bytes).text(value.text);
    const reader = new ByteReader(writer.finish());
    const read = {
      u8: reader.u8("u8"),
      u16: reader.u16("u16"),
      u32: reader.u32("u32"),
      u64: reader.u64("u64"),
      i64: reader.i64("i64"),
      f64: reader.f64("f64"),
      bytes: reader.bytesWithLength(300, "bytes"),
      text: reader.text(160, "text"),
    };
    reader.end("all fields");
    deepEqual(read, value);
  }));
});
