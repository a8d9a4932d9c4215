import { NodeError } from "../../core/base/errors.ts";

const CR = 0x0d;
const LF = 0x0a;

/** Hex digits of a chunk size: 12 give 256 TiB, and a larger number is no honest size. */
const SIZE_DIGITS_MAX = 12;

type State = "size" | "size_lf" | "data" | "data_cr" | "data_lf" | "trailer_cr" | "trailer_lf" | "done";

/**
 * Chunked transfer coding (RFC 9112 section 7.1), strictly: no extensions, no trailers. Both are unused by clients of
 * an API, and both are read differently by different servers.
 */
export class ChunkedDecoder {
  #state: State = "size";
  #size = 0;
  #digits = 0;

  get isDone(): boolean {
    return this.#state === "done";
  }

  /**
   * Decodes from `start` until one span of data, the end of the body, or `end`. Throws NodeError bad_request.
   *
   * @returns `next`, the first byte not consumed, and the data as `dataStart` to `dataEnd`, empty when equal
   */
  decode(
    bytes: Uint8Array,
    start: number,
    end: number,
  ): { readonly next: number; readonly dataStart: number; readonly dataEnd: number } {
    let at = start;
    while (at < end && this.#state !== "done") {
      if (this.#state === "data") {
        const dataEnd = Math.min(end, at + this.#size);
        this.#size -= dataEnd - at;
        if (this.#size === 0) this.#state = "data_cr";
        return { next: dataEnd, dataStart: at, dataEnd };
      }
      this.#step(bytes[at++] ?? 0);
    }
    return { next: at, dataStart: at, dataEnd: at };
  }

  #step(byte: number): void {
    switch (this.#state) {
      case "size":
        return this.#stepSize(byte);
      case "size_lf":
        this.#expect(byte, LF, this.#size === 0 ? "trailer_cr" : "data");
        this.#digits = 0;
        return;
      case "data_cr":
        return this.#expect(byte, CR, "data_lf");
      case "data_lf":
        return this.#expect(byte, LF, "size");
      case "trailer_cr":
        if (byte !== CR) throw broken("trailers are not supported");
        this.#state = "trailer_lf";
        return;
      case "trailer_lf":
        return this.#expect(byte, LF, "done");
    }
  }

  #stepSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#digits > SIZE_DIGITS_MAX) throw broken("a chunk size has too many digits");
      this.#size = this.#size * 16 + digit;
      return;
    }
    if (byte !== CR || this.#digits === 0) throw broken("a chunk size is not followed by a line end");
    this.#state = "size_lf";
  }

  #expect(byte: number, expected: number, next: State): void {
    if (byte !== expected) throw broken("a chunk is not followed by a line end");
    this.#state = next;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function broken(reason: string): NodeError {
  return new NodeError("bad_request", `Cannot read the chunked body: ${reason}`);
}
