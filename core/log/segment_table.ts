import { assert } from "../base/assert.ts";
import type { LogIndex, LogPosition } from "../base/ids.ts";

/** Where a segment lies. Plain data: it also goes to worker threads. */
export interface SegmentInfo {
  readonly firstIndex: LogIndex;
  /** Position of the first byte of the file. The byte at offset `o` of the file has position `startPosition + o`. */
  readonly startPosition: LogPosition;
  readonly path: string;
}

/** The segments of the log in the order they were written. Pure. */
export class SegmentTable {
  readonly list: readonly SegmentInfo[];

  constructor(segments: readonly SegmentInfo[]) {
    for (let i = 1; i < segments.length; i++) {
      const before = segments[i - 1] as SegmentInfo;
      const segment = segments[i] as SegmentInfo;
      assert(
        before.startPosition < segment.startPosition && before.firstIndex < segment.firstIndex,
        () => `Segments out of order: ${before.path}, ${segment.path}`,
      );
    }
    this.list = segments;
  }

  /** The segment that holds the byte, undefined when the position is before all of them. */
  atPosition(position: LogPosition): SegmentInfo | undefined {
    return this.#last((segment) => segment.startPosition <= position);
  }

  /** The segment that holds the entry, undefined when the index is before all of them. */
  atIndex(index: LogIndex): SegmentInfo | undefined {
    return this.#last((segment) => segment.firstIndex <= index);
  }

  /** The last segment for which `holds`; it must hold for a prefix of the list. */
  #last(holds: (segment: SegmentInfo) => boolean): SegmentInfo | undefined {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.list[middle] as SegmentInfo)) low = middle + 1;
      else high = middle;
    }
    return this.list[low - 1];
  }
}
