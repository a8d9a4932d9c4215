import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { LogIndex, LogPosition } from "../base/ids.ts";
import type { Disk, DiskFile } from "../base/ports.ts";
import { crc32 } from "../codec/crc32.ts";
import type { Entry } from "../raft/message.ts";
import { chainHashOfBody, RECORD_HEADER_BYTES, recordSize, writeRecordHeader } from "./record.ts";
import { encodeSegmentHeader, type SegmentHeader, segmentPath } from "./segment_header.ts";
import type { SegmentInfo } from "./segment_table.ts";

/** Bytes gathered before a write; one append of this size takes about 10 ms. An entry larger than this is written alone. */
const WRITE_BYTES_MAX = 8 * 1024 * 1024;
const BUFFER_BYTES_MIN = 128 * 1024;

/** Larger writes take longer than recording the new size does. Measured: bench/log_append_bench.ts. */
const FILL_WRITE_BYTES_MAX = 64 * 1024;

/** How far zeros are written ahead of the records. */
export interface FillAhead {
  /** Zeros written at once; 0 for none. */
  readonly chunkBytes: number;
  /** Nothing is filled beyond this size of the file. */
  readonly sizeMax: number;
}

const NO_FILL: FillAhead = { chunkBytes: 0, sizeMax: 0 };
let zeroBytes = new Uint8Array(0);

function zeros(count: number): Uint8Array {
  if (zeroBytes.length < count) zeroBytes = new Uint8Array(count);
  return zeroBytes.subarray(0, count);
}

/** Bytes on the way to a file. The log has one and lends it to its writers, so that appends allocate nothing. */
export class WriteBuffer {
  bytes = new Uint8Array(BUFFER_BYTES_MIN);
  view = new DataView(this.bytes.buffer);
  length = 0;

  /** Makes room for `count` more bytes and returns where they begin. */
  reserve(count: number): number {
    const offset = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, offset));
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return offset;
  }
}

/**
 * One segment file being written, from its creation on: bytes are only ever added at its end, and a file that was
 * found on disk is never written again. So nothing durable is at risk when a write is torn.
 */
export class SegmentWriter {
  readonly info: SegmentInfo;
  readonly #file: DiskFile;
  readonly #buffer: WriteBuffer;
  /** Bytes of the file that are in use. */
  #written = 0;
  /** Bytes of the file up to which zeros were written. */
  #filled = 0;
  #fill: FillAhead;

  /** @param path where to write the file, when it gets its name later */
  constructor(
    disk: Disk,
    header: SegmentHeader,
    buffer: WriteBuffer,
    fill: FillAhead = NO_FILL,
    path?: string,
  ) {
    const { base, startPosition } = header;
    const firstIndex = base.index + 1;
    this.info = { firstIndex, startPosition, path: segmentPath(firstIndex, startPosition) };
    this.#buffer = buffer;
    this.#fill = fill;
    buffer.length = 0;
    this.#file = disk.openFile(path ?? this.info.path, "write");
    this.#add(encodeSegmentHeader(header));
  }

  /** Bytes of the file once everything gathered is written. */
  get size(): number {
    return this.#written + this.#buffer.length;
  }

  get endPosition(): LogPosition {
    return this.info.startPosition + this.size;
  }

  /**
   * Gathers one record; returns the position of its header.
   *
   * @param previousHash running hash of the entry before: the entry must continue it
   */
  add(entry: Entry, previousHash: number, syncedIndex: LogIndex, commitIndex: LogIndex): LogPosition {
    const size = recordSize(entry.data.length);
    if (this.#buffer.length > 0 && this.#buffer.length + size > WRITE_BYTES_MAX) this.flush();
    const position = this.info.startPosition + this.size;
    const offset = this.#buffer.reserve(size);
    const { bytes, view } = this.#buffer;
    const { index, term, type, hash, data } = entry;
    bytes.set(data, offset + RECORD_HEADER_BYTES);
    bytes.fill(0, offset + RECORD_HEADER_BYTES + data.length, offset + size);
    // The copy is what is checked: data in shared memory cannot change between checksum and write.
    const body = bytes.subarray(offset + RECORD_HEADER_BYTES, offset + RECORD_HEADER_BYTES + data.length);
    const bodyCrc = crc32(body);
    assert(
      chainHashOfBody(previousHash, term, index, type, data.length, bodyCrc) === hash,
      () => `Entry ${index} does not carry the hash of its data and of the log before it`,
    );
    const header = {
      type,
      bodyLength: data.length,
      bodyCrc,
      index,
      term,
      syncedIndex,
      commitIndex,
      hash,
      position,
    };
    writeRecordHeader(bytes, view, offset, header);
    return position;
  }

  /** Writes what was gathered. */
  flush(): void {
    const { length } = this.#buffer;
    if (length === 0) return;
    const offset = this.#written;
    this.#buffer.length = 0;
    // Also when the write fails: the place it may have reached is not used again.
    this.#written += length;
    this.#file.writeAt(this.#buffer.bytes.subarray(0, length), offset);
    if (length <= FILL_WRITE_BYTES_MAX) this.#fillAhead();
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  /** Gives back the space of a failed append. What is there was never part of the log. */
  cutBack(size: number): void {
    this.#buffer.length = 0;
    this.#file.truncate(size);
  }

  close(): void {
    this.#file.close();
  }

  /** Keeps zeros ahead, so that syncing the next small write need not record a new size of the file. */
  #fillAhead(): void {
    const { chunkBytes, sizeMax } = this.#fill;
    if (this.#written + chunkBytes / 4 <= this.#filled) return;
    const from = Math.max(this.#filled, this.#written);
    const to = Math.min(this.#written + chunkBytes, sizeMax);
    if (to <= from) return;
    try {
      this.#file.writeAt(zeros(to - from), from);
      this.#filled = to;
    } catch (error) {
      if (!(error instanceof NodeError && error.code === "disk_full")) throw error;
      // The records themselves are written; without zeros ahead syncs are slower, nothing else.
      this.#fill = NO_FILL;
    }
  }

  #add(bytes: Uint8Array): void {
    const offset = this.#buffer.reserve(bytes.length);
    this.#buffer.bytes.set(bytes, offset);
  }
}
