import { crc32 } from "../../core/codec/crc32.ts";
import { assert } from "../../core/base/assert.ts";
import { type Frame, FRAME_HEAD_BYTES, FRAME_REST_BYTES_MIN } from "./frame.ts";
import { WireError } from "./wire_error.ts";

/** Receives many small frames with one read; its cost is held by every connection. */
const CHUNK_BYTES = 64 * 1024;
/** A frame that misses at least this much is received in place, without passing through the chunk. */
const DIRECT_BYTES_MIN = 16 * 1024;

/**
 * A stream of bytes, in any chunking, to frames. The caller reads from its socket into `space()` and reports with
 * `received()`. Each byte is copied at most once: from the chunk into the buffer of its frame; the bulk of a large
 * frame arrives in that buffer directly.
 *
 * After a WireError the reader is of no use: the border of the next frame is lost.
 */
export class FrameReader {
  readonly #frameBytesMax: number;
  readonly #chunk: Uint8Array<ArrayBuffer>;
  readonly #chunkView: DataView;
  /** Bytes `start ..< end` of the chunk are received and not yet taken. */
  #start = 0;
  #end = 0;
  /** The rest of the frame being received; allocated when its length is known and allowed. */
  #rest: Uint8Array<ArrayBuffer> | undefined;
  #restFilled = 0;
  #restChecksum = 0;
  #direct = false;

  /** @param frameBytesMax largest length field that is accepted; checked before anything is allocated */
  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
    this.#chunk = new Uint8Array(Math.min(CHUNK_BYTES, frameBytesMax + FRAME_HEAD_BYTES));
    this.#chunkView = new DataView(this.#chunk.buffer);
  }

  /** Bytes of an unfinished frame are held. */
  get isMidFrame(): boolean {
    return this.#rest !== undefined || this.#end > this.#start;
  }

  /** Where the next bytes of the stream go; never empty. */
  space(): Uint8Array<ArrayBuffer> {
    if (this.#rest !== undefined && this.#rest.byteLength - this.#restFilled >= DIRECT_BYTES_MIN) {
      this.#direct = true;
      return this.#rest.subarray(this.#restFilled);
    }
    this.#direct = false;
    if (this.#start > 0) {
      this.#chunk.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    return this.#chunk.subarray(this.#end);
  }

  /**
   * `count` bytes were put at the beginning of the last `space()`.
   *
   * @returns the frames that are now complete
   * @throws WireError
   */
  received(count: number): Frame[] {
    if (this.#direct) this.#restFilled += count;
    else this.#end += count;
    assert(
      this.#end <= this.#chunk.byteLength,
      () => `Received ${count} bytes: more than there was space for`,
    );
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | undefined {
    if (this.#rest === undefined && !this.#begin()) return undefined;
    const rest = this.#rest;
    assert(rest !== undefined, "A frame has begun");
    const count = Math.min(rest.byteLength - this.#restFilled, this.#end - this.#start);
    if (count > 0) {
      rest.set(this.#chunk.subarray(this.#start, this.#start + count), this.#restFilled);
      this.#restFilled += count;
      this.#start += count;
    }
    if (this.#restFilled < rest.byteLength) return undefined;
    this.#rest = undefined;
    return this.#finish(rest);
  }

  /** Takes the head of a frame from the chunk when it is there. */
  #begin(): boolean {
    if (this.#end - this.#start < FRAME_HEAD_BYTES) return false;
    const length = this.#chunkView.getUint32(this.#start, true);
    if (length > this.#frameBytesMax) {
      throw new WireError(`Cannot receive a frame of ${length} bytes: the limit is ${this.#frameBytesMax}`);
    }
    if (length < FRAME_REST_BYTES_MIN) {
      throw new WireError(
        `Cannot receive a frame of ${length} bytes: the shortest has ${FRAME_REST_BYTES_MIN}`,
      );
    }
    this.#restChecksum = this.#chunkView.getUint32(this.#start + 4, true);
    this.#start += FRAME_HEAD_BYTES;
    this.#rest = new Uint8Array(length);
    this.#restFilled = 0;
    return true;
  }

  #finish(rest: Uint8Array<ArrayBuffer>): Frame {
    const checksum = crc32(rest);
    if (checksum !== this.#restChecksum) {
      throw new WireError(
        `Cannot accept a frame of ${rest.byteLength} bytes: its checksum is ${checksum}, not ${this.#restChecksum}`,
      );
    }
    const view = new DataView(rest.buffer);
    const controlBytes = view.getUint32(1, true);
    const bodyOffset = FRAME_REST_BYTES_MIN + controlBytes;
    if (bodyOffset > rest.byteLength) {
      throw new WireError(
        `Cannot accept a frame: its control part of ${controlBytes} bytes is longer than the frame`,
      );
    }
    return {
      kind: view.getUint8(0),
      control: rest.subarray(FRAME_REST_BYTES_MIN, bodyOffset),
      body: rest.subarray(bodyOffset),
    };
  }
}

/** All frames of `bytes`, which may end inside a frame. For tests and for captured streams. */
export function readFrames(bytes: Uint8Array, frameBytesMax: number, chunkBytes = bytes.byteLength): Frame[] {
  const reader = new FrameReader(frameBytesMax);
  const frames: Frame[] = [];
  for (let offset = 0; offset < bytes.byteLength;) {
    const space = reader.space();
    const count = Math.min(space.byteLength, chunkBytes, bytes.byteLength - offset);
    space.set(bytes.subarray(offset, offset + count));
    frames.push(...reader.received(count));
    offset += count;
  }
  return frames;
}
