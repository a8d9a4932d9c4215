import { NodeError } from "../base/errors.ts";
import type { LogIndex } from "../base/ids.ts";

/** Entries that were durable and cannot be read any more. */
export interface DamagedRange {
  readonly segment: string;
  readonly fromIndex: LogIndex;
  readonly toIndex: LogIndex;
  readonly why: string;
}

/**
 * The disk does not hold what was durable on it (promise 6). Nothing was cut or changed. `damaged` says what another
 * member has to supply.
 */
export class DamageError extends NodeError {
  override name = "DamageError";

  /** @param highestIndex no entry after this one has left a trace; 0 when that is not known */
  constructor(
    message: string,
    readonly damaged: readonly DamagedRange[],
    readonly highestIndex: LogIndex = 0,
    options?: ErrorOptions,
  ) {
    super("internal", message, {}, options);
  }
}

/** Entries that were found bad while the log was open or being opened. */
export function entriesDamaged(
  damaged: readonly DamagedRange[],
  highestIndex: LogIndex = 0,
  options?: ErrorOptions,
): DamageError {
  const shown = damaged.slice(0, 3).map(({ segment, fromIndex, toIndex, why }) =>
    `${
      fromIndex === toIndex ? `entry ${fromIndex}` : `entries ${fromIndex} to ${toIndex}`
    } in ${segment}: ${why}`
  );
  const more = damaged.length > shown.length ? `; and ${damaged.length - shown.length} more places` : "";
  return new DamageError(
    `Cannot read the log: ${
      shown.join("; ")
    }${more}. These entries were durable, so the disk lost data and nothing ` +
      "was cut. Keep the data folder, check the disk, and bring this node back from the other members: remove it from " +
      "the cluster and add it again with an empty folder",
    damaged,
    highestIndex,
    options,
  );
}

/** A small file of the data folder (`raft/state`, `node.json`) that cannot be trusted. */
export function fileDamaged(path: string, why: string): DamageError {
  return new DamageError(
    `Cannot read ${path}: ${why}. It is never guessed at, because a node that forgets its vote can elect two leaders. ` +
      "Keep the data folder, check the disk, remove this node from the cluster and add it again with an empty folder",
    [],
  );
}

/** Sound bytes in a format this program does not know. Cutting or repairing them would destroy data. */
export class UnknownFormatError extends NodeError {
  override name = "UnknownFormatError";

  constructor(message: string) {
    super("internal", message);
  }
}
