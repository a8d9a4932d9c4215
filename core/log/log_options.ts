import type { LogIndex, LogPosition } from "../base/ids.ts";
import type { EventSink } from "../base/ports.ts";
import type { Entry } from "../raft/message.ts";
import type { EntryTable } from "./entry_table.ts";
import type { Log } from "./log.ts";
import type { RecoveryReport } from "./recovery.ts";
import type { LogBase } from "./segment_header.ts";
import type { SegmentInfo } from "./segment_table.ts";

export interface LogOptions {
  /** 32 hexadecimal digits; a log of another cluster is refused. */
  readonly clusterId: string;
  /** Size at which a new file begins; default LIMITS.segmentBytesMax. A larger entry has a file alone. */
  readonly segmentBytesMax?: number;
  /** Zeros written ahead of the records, which makes small syncs faster; default LIMITS.logFillAheadBytes, 0 for none. */
  readonly fillAheadBytes?: number;
  /** Bytes of newest entries kept in memory; default LIMITS.logCacheBytesMax. */
  readonly cacheBytesMax?: number;
  /** The snapshot of `raft/state`: the log must hold what follows it, and begins anew there when it ends before it. */
  readonly base?: LogBase;
  /**
   * Hears every entry that is there, in order, while the log is opened. `entry.data` is valid only during the call;
   * the position is that of the body and stays valid.
   */
  readonly onEntry?: (entry: Entry, bodyPosition: LogPosition) => void;
  readonly events?: EventSink;
}

export interface OpenedLog {
  readonly log: Log;
  readonly recovery: RecoveryReport;
  /** The log ended before `base` or contradicted it, and begins anew: what `onEntry` heard is void. */
  readonly restarted: boolean;
}

/** What a Log starts from. */
export interface LogStart {
  readonly table: EntryTable;
  readonly segments: readonly SegmentInfo[];
  readonly dead: readonly string[];
  readonly endPosition: LogPosition;
  /** What the files say about how far the log is durable. */
  readonly notedIndex: LogIndex;
}
