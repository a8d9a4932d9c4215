/**
 * `db/NAME.sum`: the CRC-32 of each page of `db/NAME.db`. Byte table: README.md. A checkpoint writes both files, every read
 * of the `.db` compares them.
 */
import type { PageNumber } from "../base/ids.ts";
import type { Disk, DiskFile } from "../base/ports.ts";
import { ByteReader } from "../codec/byte_reader.ts";
import { ByteWriter } from "../codec/byte_writer.ts";
import { crc32 } from "../codec/crc32.ts";

/** "WSUM", read as a little-endian number. */
const MAGIC = 0x4d55_5357;
/** Version of the layout. Records of version 2 say whether a file of this version is there. */
export const PAGE_SUMS_VERSION = 1;
export const SUMS_HEADER_BYTES = 16;
const SUM_BYTES = 4;
const CRC_OFFSET = 12;

/** Sums read or written at once: 4 KiB, for 4 MiB of pages of 4 KiB. */
const BLOCK_SUMS = 1_024;
const BLOCK_BYTES = BLOCK_SUMS * SUM_BYTES;
/** Blocks a reader keeps: 256 KiB for 256 MiB of pages; each database a worker has open may have as many. */
const BLOCKS_KEPT_MAX = 64;

interface Block {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly sums: DataView;
  /** Sums that the file holds of it. */
  readonly count: number;
}

const NO_SUMS: Block = { bytes: new Uint8Array(0), sums: new DataView(new ArrayBuffer(0)), count: 0 };

export function sumFile(name: string): string {
  return `db/${name}.sum`;
}

export function encodeSumsHeader(pageSize: number): Uint8Array {
  const fields = new ByteWriter(CRC_OFFSET).u32(MAGIC).u16(PAGE_SUMS_VERSION).u16(0).u32(pageSize).finish();
  return new ByteWriter(SUMS_HEADER_BYTES).bytes(fields).u32(crc32(fields)).finish();
}

/**
 * The page size. Pages are checked without it: a header that is damaged makes no page unreadable, and the next checkpoint
 * writes it anew.
 *
 * @throws Error when the header is damaged or of a newer version
 */
export function decodeSumsHeader(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes);
  const magic = reader.u32("magic");
  const version = reader.u16("version");
  reader.u16("zero");
  const pageSize = reader.u32("page size");
  if (reader.u32("checksum") !== crc32(bytes.subarray(0, CRC_OFFSET)) || magic !== MAGIC) {
    throw new Error("Cannot read page checksums: the header of the file is damaged");
  }
  if (version === PAGE_SUMS_VERSION) return pageSize;
  throw new Error(
    `Cannot read page checksums of version ${version}: this program knows version ${PAGE_SUMS_VERSION}; upgrade it`,
  );
}

/**
 * The sums as a reader of the `.db` file needs them: some blocks are kept in memory, until `close`. A checkpoint that puts
 * another file in the place of this one goes unnoticed until then; pages it changed are read from the log so long.
 */
export class PageSumReader {
  readonly #disk: Disk;
  readonly #path: string;
  #file: DiskFile | undefined;
  /** By number of the block, least recently loaded first. */
  readonly #blocks = new Map<number, Block>();

  constructor(disk: Disk, name: string) {
    this.#disk = disk;
    this.#path = sumFile(name);
  }

  /** The checksum the page must have; undefined when the file does not hold it. */
  get(pageNumber: PageNumber): number | undefined {
    const number = Math.floor((pageNumber - 1) / BLOCK_SUMS);
    const block = this.#blocks.get(number) ?? this.#load(number);
    const i = pageNumber - 1 - number * BLOCK_SUMS;
    return i < block.count ? block.sums.getUint32(i * SUM_BYTES, true) : undefined;
  }

  #load(number: number): Block {
    if (this.#file === undefined && !this.#disk.exists(this.#path)) return NO_SUMS;
    this.#file ??= this.#disk.openFile(this.#path, "read");
    const bytes = this.#takeRoom();
    const read = this.#file.readAt(bytes, offsetOf(number * BLOCK_SUMS + 1));
    const block = { bytes, sums: new DataView(bytes.buffer), count: Math.floor(read / SUM_BYTES) };
    this.#blocks.set(number, block);
    return block;
  }

  /** The memory of the oldest block when there are enough: making new costs as much as reading. */
  #takeRoom(): Uint8Array<ArrayBuffer> {
    const [oldest] = this.#blocks;
    if (this.#blocks.size < BLOCKS_KEPT_MAX || oldest === undefined) return new Uint8Array(BLOCK_BYTES);
    this.#blocks.delete(oldest[0]);
    return oldest[1].bytes;
  }

  /** The next `get` opens the file again. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#blocks.clear();
  }
}

/**
 * Writes all sums anew, page after page from 1 on, and puts them in the place of the old file. In place nothing is ever
 * changed: a power failure in mid-write could take the sums of pages that stay with it, and they exist nowhere else.
 */
export class PageSumWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #block = new DataView(new ArrayBuffer(BLOCK_BYTES));
  /** Sums in the block; `#pageCount` counts those in the file as well. */
  #count = 0;
  #pageCount = 0;

  constructor(disk: Disk, path: string, pageSize: number) {
    this.#disk = disk;
    this.#path = path;
    this.#file = disk.openFile(temporaryPath(this.#path), "write");
    this.#file.truncate(0);
    this.#file.writeAt(encodeSumsHeader(pageSize), 0);
  }

  /** The sum of the next page. */
  add(sum: number): void {
    this.#block.setUint32(this.#count * SUM_BYTES, sum, true);
    this.#count++;
    this.#pageCount++;
    if (this.#count === BLOCK_SUMS) this.#flush();
  }

  /** Replaces the old file. The caller makes the folder durable. */
  async finish(): Promise<void> {
    this.#flush();
    await this.#file.sync();
    this.#disk.rename(temporaryPath(this.#path), this.#path);
  }

  close(): void {
    this.#file.close();
  }

  #flush(): void {
    const first = this.#pageCount - this.#count + 1;
    this.#file.writeAt(new Uint8Array(this.#block.buffer, 0, this.#count * SUM_BYTES), offsetOf(first));
    this.#count = 0;
  }
}

function temporaryPath(path: string): string {
  return `${path}.tmp`;
}

function offsetOf(pageNumber: PageNumber): number {
  return SUMS_HEADER_BYTES + (pageNumber - 1) * SUM_BYTES;
}
