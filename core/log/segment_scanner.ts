import type { LogPosition } from "../base/ids.ts";
import type { DiskFile } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import {
  readRecordHeader,
  RECORD_ALIGNMENT_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MAGIC,
  type RecordHeader,
} from "./record.ts";

const WINDOW_BYTES = 1024 * 1024;
const PIECE_BYTES = 4096;

/** What lies at one place of a segment file. */
export type Probe =
  /** A sound header. `body` is undefined when the body is not what the header says; valid until the next call. */
  | { readonly kind: "record"; readonly header: RecordHeader; readonly body: Uint8Array | undefined }
  /** The end of the file, or zeros. */
  | { readonly kind: "end" }
  | { readonly kind: "bad"; readonly why: string };

/** Reads a segment file from front to back for recovery. Nothing it finds is trusted, and a failing disk is no reason to stop. */
export class SegmentScanner {
  readonly #file: DiskFile;
  readonly #startPosition: LogPosition;
  readonly size: number;
  #window = new Uint8Array(0);
  #windowView = new DataView(this.#window.buffer);
  #windowOffset = 0;
  #buffer = new Uint8Array(WINDOW_BYTES);
  /** Offsets of pieces the disk refused to read. They read as 0xff here, which is neither a record nor the end. */
  readonly #unreadable = new Set<number>();

  constructor(file: DiskFile, startPosition: LogPosition) {
    this.#file = file;
    this.#startPosition = startPosition;
    this.size = file.size();
  }

  /** Up to `length` bytes from `offset`, fewer at the end of the file. Valid until the next call. */
  bytesAt(offset: number, length: number): Uint8Array {
    const start = this.#load(offset, length);
    return this.#window.subarray(start, Math.min(start + length, this.#window.length));
  }

  probe(offset: number): Probe {
    if (offset >= this.size) return { kind: "end" };
    const start = this.#load(offset, RECORD_HEADER_BYTES);
    const position = this.#startPosition + offset;
    const header = readRecordHeader(this.#window, this.#windowView, start, position);
    if (typeof header === "string") {
      const isZero = this.bytesAt(offset, RECORD_HEADER_BYTES).every((byte) => byte === 0);
      return isZero
        ? { kind: "end" }
        : { kind: "bad", why: this.#whyBad(offset, RECORD_HEADER_BYTES, header) };
    }
    const body = this.bytesAt(offset + RECORD_HEADER_BYTES, header.bodyLength);
    const sound = body.length === header.bodyLength && crc32(body) === header.bodyCrc;
    return { kind: "record", header, body: sound ? body : undefined };
  }

  /** Offset of the next sound record header from `offset` on. */
  findRecord(offset: number): number | undefined {
    for (let at = offset; at + RECORD_HEADER_BYTES <= this.size;) {
      const start = this.#load(at, WINDOW_BYTES);
      const last = this.#window.length - RECORD_HEADER_BYTES;
      for (let i = start; i <= last; i += RECORD_ALIGNMENT_BYTES) {
        if (this.#windowView.getUint32(i, true) !== RECORD_MAGIC) continue;
        const found = at + i - start;
        const header = readRecordHeader(this.#window, this.#windowView, i, this.#startPosition + found);
        if (typeof header !== "string") return found;
      }
      at += Math.max(RECORD_ALIGNMENT_BYTES, Math.floor((last - start) / RECORD_ALIGNMENT_BYTES + 1) * 8);
    }
    return undefined;
  }

  /** Whether the disk refused to read some of these bytes. */
  isUnreadable(offset: number, length: number): boolean {
    for (const piece of this.#unreadable) {
      if (piece < offset + length && offset < piece + PIECE_BYTES) return true;
    }
    return false;
  }

  #whyBad(offset: number, length: number, why: string): string {
    return this.isUnreadable(offset, length) ? "the disk refuses to read it" : why;
  }

  /** Brings the bytes into the window; returns where they begin in it. */
  #load(offset: number, length: number): number {
    const start = offset - this.#windowOffset;
    if (start >= 0 && start + length <= this.#window.length) return start;
    const wanted = Math.max(0, Math.min(Math.max(length, WINDOW_BYTES), this.size - offset));
    if (wanted > this.#buffer.length) this.#buffer = new Uint8Array(wanted);
    this.#window = this.#buffer.subarray(0, this.#read(offset, this.#buffer.subarray(0, wanted)));
    this.#windowView = new DataView(this.#window.buffer, this.#window.byteOffset, this.#window.length);
    this.#windowOffset = offset;
    return 0;
  }

  #read(offset: number, into: Uint8Array): number {
    try {
      return this.#file.readAt(into, offset);
    } catch {
      return this.#readInPieces(offset, into);
    }
  }

  #readInPieces(offset: number, into: Uint8Array): number {
    for (let at = offset - offset % PIECE_BYTES; at < offset + into.length; at += PIECE_BYTES) {
      const from = Math.max(at, offset);
      const piece = into.subarray(from - offset, Math.min(at + PIECE_BYTES, offset + into.length) - offset);
      try {
        this.#file.readAt(piece, from);
      } catch {
        piece.fill(0xff);
        this.#unreadable.add(at);
      }
    }
    return into.length;
  }
}
