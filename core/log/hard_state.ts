/** `raft/state`: term and vote, and the snapshot the log continues. Byte table in README.md. */
import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import type { Disk } from "../base/ports.ts";
import { ByteReader, ByteReadError } from "../codec/byte_reader.ts";
import { ByteWriter } from "../codec/byte_writer.ts";
import { crc32 } from "../codec/crc32.ts";
import type { SnapshotMetadata } from "../raft/message.ts";
import type { HardState } from "../raft/output.ts";
import { fileDamaged, UnknownFormatError } from "./damage.ts";
import { GroupSync } from "./group_sync.ts";
import { readWholeFile, replaceFile } from "./replace_file.ts";

export const HARD_STATE_PATH = "raft/state";
/** "wRst", read as a little-endian number. */
const MAGIC = 0x7473_5277;
const VERSION = 1;
const CHECKSUM_OFFSET = 8;
/** Room for thousands of members; a file larger than this is not ours. */
const MEMBERSHIP_BYTES_MAX = 4 * 1024 * 1024;

export interface DurableState {
  readonly hardState: HardState;
  /** The newest snapshot taken or installed; undefined while the log begins with entry 1. */
  readonly base: SnapshotMetadata | undefined;
}

/**
 * Holds `raft/state`. A save that fails is final: what is on disk is not known then. Only one that found no room left
 * the old file as it was and may be repeated.
 */
export class HardStateFile {
  readonly #disk: Disk;
  readonly #group = new GroupSync(
    () => replaceFile(this.#disk, HARD_STATE_PATH, encodeState(this.#state)),
    isRoomMissing,
  );
  #state: DurableState;
  #durableBase: SnapshotMetadata | undefined;

  /** Use `open`. */
  constructor(disk: Disk, state: DurableState) {
    this.#disk = disk;
    this.#state = state;
    this.#durableBase = state.base;
  }

  /**
   * Reads the file, or begins with term 0 when there is none: the caller knows whether this node is new.
   *
   * @throws DamageError when the file is unsound
   */
  static async open(disk: Disk): Promise<HardStateFile> {
    disk.makeDirectory("raft");
    await disk.syncDirectory("");
    if (disk.exists(`${HARD_STATE_PATH}.tmp`)) disk.remove(`${HARD_STATE_PATH}.tmp`);
    const bytes = readWholeFile(disk, HARD_STATE_PATH);
    const begin: DurableState = { hardState: { term: 0, vote: 0 }, base: undefined };
    const file = new HardStateFile(disk, bytes === undefined ? begin : decodeState(bytes));
    // The rename may have been seen but not be durable: a vote must not be acted on and then forgotten.
    if (bytes !== undefined) await file.#group.run();
    return file;
  }

  /** Term and vote of the newest save; durable when that save has resolved. */
  get value(): HardState {
    return this.#state.hardState;
  }

  /** The snapshot of the newest `saveBase` that is durable: one that found no room must not count. */
  get base(): SnapshotMetadata | undefined {
    return this.#durableBase;
  }

  /** Durable when it resolves. Saves that overlap share a write. */
  save(hardState: HardState): Promise<void> {
    const { term, vote } = this.#state.hardState;
    assert(
      hardState.term > term || (hardState.term === term && (vote === 0 || vote === hardState.vote)),
      () => `Cannot save term ${hardState.term}, vote ${hardState.vote} over term ${term}, vote ${vote}`,
    );
    this.#state = { ...this.#state, hardState };
    return this.#group.run();
  }

  /** To be durable before the log is restarted at `base`, or shortened up to it. */
  async saveBase(base: SnapshotMetadata): Promise<void> {
    this.#state = { ...this.#state, base };
    await this.#group.run();
    if (this.#state.base === base) this.#durableBase = base;
  }

  /** Waits until nothing is being written. */
  close(): Promise<void> {
    return this.#group.idle();
  }
}

export function encodeState({ hardState, base }: DurableState): Uint8Array {
  const writer = new ByteWriter();
  writer.u32(MAGIC).u16(VERSION).u16(0).u32(0);
  writer.u64(hardState.term).u64(hardState.vote);
  writer.u64(base?.index ?? 0).u64(base?.term ?? 0).u32(base?.hash ?? 0);
  writer.bytesWithLength(base?.membership ?? new Uint8Array(0));
  const bytes = writer.finish();
  writer.patchU32(CHECKSUM_OFFSET, checksumOf(bytes));
  return bytes;
}

/** @throws DamageError, UnknownFormatError */
export function decodeState(bytes: Uint8Array): DurableState {
  try {
    const reader = new ByteReader(bytes);
    if (reader.u32("magic") !== MAGIC) throw fileDamaged(HARD_STATE_PATH, "it does not begin as it should");
    const version = reader.u16("version");
    reader.u16("flags");
    if (reader.u32("checksum") !== checksumOf(bytes)) {
      throw fileDamaged(HARD_STATE_PATH, "its checksum is wrong");
    }
    if (version !== VERSION) {
      throw new UnknownFormatError(
        `Cannot read ${HARD_STATE_PATH}: it has version ${version}; start this node with the newer walraft that wrote it`,
      );
    }
    const hardState = { term: reader.u64("term"), vote: reader.u64("vote") };
    const place = {
      index: reader.u64("base index"),
      term: reader.u64("base term"),
      hash: reader.u32("base hash"),
    };
    const membership = reader.bytesWithLength(MEMBERSHIP_BYTES_MAX, "membership").slice();
    // What a later version of 1.x adds follows here and is left alone.
    return { hardState, base: place.index === 0 ? undefined : { ...place, membership } };
  } catch (error) {
    if (error instanceof ByteReadError) throw fileDamaged(HARD_STATE_PATH, error.message);
    throw error;
  }
}

function isRoomMissing(error: unknown): boolean {
  return error instanceof NodeError && error.code === "disk_full";
}

/** Over everything but the checksum itself. */
function checksumOf(bytes: Uint8Array): number {
  return crc32(bytes.subarray(CHECKSUM_OFFSET + 4), crc32(bytes.subarray(0, CHECKSUM_OFFSET)));
}
