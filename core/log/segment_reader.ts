import { NodeError } from "../base/errors.ts";
import type { LogPosition } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Disk, DiskFile } from "../base/ports.ts";
import { type SegmentInfo, SegmentTable } from "./segment_table.ts";

/**
 * Reads bytes of the log by position, with files of its own: the main thread and every worker have one. It checks no
 * checksums; those who read records or pages do.
 */
export class SegmentReader {
  readonly #disk: Disk;
  #table: SegmentTable;
  /** Open files by path, least recently used first. */
  readonly #files = new Map<string, DiskFile>();
  /** What the last read used: pages of one query mostly lie together. */
  #last:
    | { readonly segment: SegmentInfo; readonly endPosition: LogPosition; readonly file: DiskFile }
    | undefined;

  constructor(disk: Disk, segments: readonly SegmentInfo[]) {
    this.#disk = disk;
    this.#table = new SegmentTable(segments);
  }

  /** Replaces the list of segments; files of segments that are gone are closed. */
  update(segments: readonly SegmentInfo[]): void {
    this.#table = new SegmentTable(segments);
    this.#last = undefined;
    const paths = new Set(segments.map((segment) => segment.path));
    for (const [path, file] of this.#files) {
      if (paths.has(path)) continue;
      file.close();
      this.#files.delete(path);
    }
  }

  /**
   * Fills `into` with the bytes from `position` on, which lie in one segment.
   *
   * @throws NodeError `internal` when the log does not have them
   */
  readAt(position: LogPosition, into: Uint8Array): void {
    const { segment, endPosition, file } = this.#locate(position);
    const read = position + into.length <= endPosition
      ? file.readAt(into, position - segment.startPosition)
      : 0;
    if (read === into.length) return;
    throw new NodeError(
      "internal",
      `Cannot read ${into.length} bytes of the log at ${position}: ${segment.path} holds fewer`,
    );
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
    this.#last = undefined;
  }

  #locate(position: LogPosition) {
    const last = this.#last;
    if (last !== undefined && position >= last.segment.startPosition && position < last.endPosition) {
      return last;
    }
    const segment = this.#table.atPosition(position);
    if (segment === undefined) {
      throw new NodeError("internal", `Cannot read the log at ${position}: no segment holds this position`);
    }
    const next = this.#table.list[this.#table.list.indexOf(segment) + 1];
    const file = this.#open(segment.path);
    return (this.#last = { segment, endPosition: next?.startPosition ?? Infinity, file });
  }

  #open(path: string): DiskFile {
    let file = this.#files.get(path);
    if (file === undefined) file = this.#disk.openFile(path, "read");
    else this.#files.delete(path);
    this.#files.set(path, file);
    if (this.#files.size > LIMITS.logFilesOpenMax) {
      const [oldest] = this.#files.keys();
      this.#files.get(oldest as string)?.close();
      this.#files.delete(oldest as string);
    }
    return file;
  }
}
