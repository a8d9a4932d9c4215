/** One message of the dqlite protocol as bytes: `u32 words of the body | u8 type | u8 schema | u16 unused | body`. */
import { assert } from "../../core/base/assert.ts";
import type { TupleWriter } from "../wire/tuple_writer.ts";

export const FRAME_HEAD_BYTES = 8;
const WORD_BYTES = 8;
const WORDS_MAX = 0xffff_ffff;

/** A received message. */
export interface Frame {
  /** Not checked against the known types. */
  readonly type: number;
  /** Revision of the body's layout. */
  readonly schema: number;
  /** Whole words, at least one. */
  readonly body: Uint8Array;
}

/**
 * Bytes of a stream that is not of the protocol. The connection must be closed: nothing behind them can be trusted.
 */
export class FrameError extends Error {
  override name = "FrameError";
}

/**
 * Leaves room for a head; the body is to be written next, then `endFrame` called.
 *
 * @returns where the frame begins
 */
export function beginFrame(writer: TupleWriter): number {
  assert(writer.length % WORD_BYTES === 0, () => `A frame cannot begin at offset ${writer.length}`);
  return writer.gap(FRAME_HEAD_BYTES);
}

/** Fills in the head of the frame that begins at `start`, whose body is everything written since. */
export function endFrame(writer: TupleWriter, start: number, type: number, schema = 0): void {
  const bodyBytes = writer.length - start - FRAME_HEAD_BYTES;
  patchHead(writer, start, bodyBytes, type, schema);
}

/** The head of a frame whose body of `bodyBytes` is not in the writer. */
export function writeHead(writer: TupleWriter, bodyBytes: number, type: number, schema = 0): void {
  patchHead(writer, writer.gap(FRAME_HEAD_BYTES), bodyBytes, type, schema);
}

function patchHead(
  writer: TupleWriter,
  start: number,
  bodyBytes: number,
  type: number,
  schema: number,
): void {
  const words = bodyBytes / WORD_BYTES;
  // A body without a word makes go-dqlite panic.
  assert(
    Number.isInteger(words) && words >= 1 && words <= WORDS_MAX,
    () => `Cannot send a body of ${bodyBytes} bytes: it must have 1 to ${WORDS_MAX} words of 8 bytes`,
  );
  writer.patchU32(start, words);
  writer.patchU8(start + 4, type);
  writer.patchU8(start + 5, schema);
}
