import { assert } from "../../core/base/assert.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { type Frame, FRAME_HEAD_BYTES, FrameError } from "./frame.ts";

/** Room that a frame may take before its bytes are there: an announced length alone costs no more than this. */
const UNSENT_BYTES_MAX = 64 * 1024;

/** Up to this size a loop over the bytes is faster than a view and a copy. */
const SHORT_BYTES = 64;

const NOTHING = new Uint8Array(0);

interface Head {
  readonly type: number;
  readonly schema: number;
  readonly bodyBytes: number;
}

/**
 * A stream of bytes, in any chunking, to frames. The caller gives it a chunk with `push()` and then takes what is
 * complete with `takeWord()` and `next()` until that gives nothing; the chunk must not change in between.
 *
 * Memory: at most twice what has arrived of the frame under way, and 64 KiB. After a FrameError the reader is of no
 * use: the border of the next frame is lost.
 */
export class FrameReader {
  readonly #bodyBytesMax: number;
  #chunk: Uint8Array = NOTHING;
  #chunkEnd = 0;
  /** Bytes of the chunk that are taken. */
  #taken = 0;
  /** Beginning of a word that the end of a chunk has cut: a head, or the first word of the stream. */
  readonly #word = new Uint8Array(FRAME_HEAD_BYTES);
  readonly #wordView = new DataView(this.#word.buffer);
  #wordFilled = 0;
  #head: Head | undefined;
  #body: Uint8Array = NOTHING;
  #bodyFilled = 0;

  /** @param bodyBytesMax largest body that is accepted; checked before anything is allocated */
  constructor(bodyBytesMax: number = LIMITS.dqliteFrameBytesMax) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Bytes are held that are no complete frame yet. */
  get isMidFrame(): boolean {
    return this.#wordFilled > 0 || this.#head !== undefined || this.#taken < this.#chunkEnd;
  }

  /** The next bytes of the stream, up to `end`. Everything complete of the chunk before must have been taken. */
  push(chunk: Uint8Array, end = chunk.byteLength): void {
    assert(
      this.#taken === this.#chunkEnd,
      () => `${this.#chunkEnd - this.#taken} bytes of the last chunk are not taken yet`,
    );
    this.#chunk = chunk;
    this.#chunkEnd = end;
    this.#taken = 0;
  }

  /** The word with which a stream opens, before its first frame; undefined until it is there. */
  takeWord(): DataView | undefined {
    assert(this.#head === undefined, "A word can be taken only between frames");
    this.#wordFilled += this.#moveInto(this.#word, this.#wordFilled, FRAME_HEAD_BYTES);
    if (this.#wordFilled < FRAME_HEAD_BYTES) return undefined;
    this.#wordFilled = 0;
    return this.#wordView;
  }

  /**
   * @returns the next frame when it is complete; its body is a buffer of its own
   * @throws FrameError
   */
  next(): Frame | undefined {
    if (this.#head === undefined) {
      const word = this.takeWord();
      if (word === undefined) return undefined;
      this.#head = this.#decodeHead(word);
      this.#body = new Uint8Array(Math.min(this.#head.bodyBytes, UNSENT_BYTES_MAX));
      this.#bodyFilled = 0;
    }
    const { type, schema, bodyBytes } = this.#head;
    while (this.#bodyFilled < bodyBytes && this.#taken < this.#chunkEnd) {
      if (this.#bodyFilled === this.#body.byteLength) this.#growBody(bodyBytes);
      this.#bodyFilled += this.#moveInto(this.#body, this.#bodyFilled, this.#body.byteLength);
    }
    if (this.#bodyFilled < bodyBytes) return undefined;
    const body = this.#body;
    this.#head = undefined;
    this.#body = NOTHING;
    return { type, schema, body };
  }

  #decodeHead(word: DataView): Head {
    const bodyBytes = word.getUint32(0, true) * 8;
    if (bodyBytes === 0) throw new FrameError("Cannot receive a frame without a body");
    if (bodyBytes > this.#bodyBytesMax) {
      const text = `Cannot receive a frame of ${bodyBytes} bytes: the limit is ${this.#bodyBytesMax}`;
      throw new FrameError(text);
    }
    return { type: word.getUint8(4), schema: word.getUint8(5), bodyBytes };
  }

  #growBody(bodyBytes: number): void {
    const grown = new Uint8Array(Math.min(bodyBytes, this.#body.byteLength * 2));
    grown.set(this.#body);
    this.#body = grown;
  }

  /** Moves bytes of the chunk to `target` from `offset` up to `end` and returns how many. */
  #moveInto(target: Uint8Array, offset: number, end: number): number {
    const count = Math.min(end - offset, this.#chunkEnd - this.#taken);
    const from = this.#taken;
    if (count > SHORT_BYTES) target.set(this.#chunk.subarray(from, from + count), offset);
    else for (let at = 0; at < count; at++) target[offset + at] = this.#chunk[from + at]!;
    this.#taken += count;
    return count;
  }
}
