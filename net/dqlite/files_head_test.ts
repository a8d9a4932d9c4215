import { deepEqual, throws } from "node:assert/strict";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { encodeFilesHeads } from "./files_head.ts";
import { writeResponse } from "./response_codec.ts";

Deno.test("encodeFilesHeads() with the contents between is what an answer in memory is", () => {
  const files = [
    { name: "test.db", content: new Uint8Array(4_096).fill(1) },
    { name: "test.db-wal", content: new Uint8Array(8_272).fill(2) },
  ];
  const heads = encodeFilesHeads(files.map(({ name, content }) => ({ name, bytes: content.byteLength })));
  const streamed = heads.flatMap((head, index) => [...head, ...(files[index]?.content ?? [])]);
  const writer = new TupleWriter();
  writeResponse(writer, { kind: "files", files });
  deepEqual(new Uint8Array(streamed), new Uint8Array(writer.take()));
});

Deno.test("encodeFilesHeads() can announce more than 4 GiB and refuses half words", () => {
  const [head] = encodeFilesHeads([{ name: "large", bytes: 16 * 2 ** 30 }]);
  deepEqual(head?.toHex(), "0300008009000000" + "0100000000000000" + "6c61726765000000" + "0000000004000000");
  throws(() => encodeFilesHeads([{ name: "odd", bytes: 9 }]), /odd has 9 bytes, not whole words/);
});
