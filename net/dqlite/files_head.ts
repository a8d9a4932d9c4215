import { assert } from "../../core/base/assert.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { FRAME_HEAD_BYTES, writeHead } from "./frame.ts";
import { ResponseType } from "./response.ts";

export interface FileSize {
  readonly name: string;
  /** A multiple of 8: the protocol has no padding there. */
  readonly bytes: number;
}

/**
 * The answer to Dump for files that are streamed, not held: `heads[i]` is sent, then the content of file i, in order.
 * The first also has the head of the frame.
 *
 * @throws TupleError `type` when a name holds a NUL
 */
export function encodeFilesHeads(files: readonly FileSize[]): Uint8Array<ArrayBuffer>[] {
  assert(files.length > 0, "An answer to Dump has files");
  const heads = files.map(({ name, bytes }, index) => {
    assert(bytes % 8 === 0, () => `${name} has ${bytes} bytes, not whole words`);
    const writer = new TupleWriter();
    if (index === 0) {
      writer.gap(FRAME_HEAD_BYTES);
      writer.u64(files.length);
    }
    writer.text(name);
    writer.u64(bytes);
    return writer.take();
  });
  const [first] = heads;
  assert(first !== undefined, "There is a first file");
  const sent = heads.reduce((total, head) => total + head.byteLength, -FRAME_HEAD_BYTES);
  const head = new TupleWriter();
  writeHead(head, files.reduce((total, { bytes }) => total + bytes, sent), ResponseType.files);
  first.set(head.peek());
  return heads;
}
