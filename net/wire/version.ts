/**
 * Versions of the protocol between members. Add a line for each new one:
 *
 * - 1: first. Frames, hello with proof, the ten Raft messages, calls.
 * - 2: heartbeat and heartbeat_reply have a field more, for leader leases.
 */
export interface VersionRange {
  /** Oldest version still spoken. */
  readonly min: number;
  /** Newest version spoken. */
  readonly max: number;
}

export const SPOKEN_VERSIONS: VersionRange = { min: 1, max: 2 };

/** First field of the first frame: tells a member from anything else that found the port. */
export const PROTOCOL_MAGIC = "WRFT";

/** The newest version both sides speak; undefined when there is none. */
export function commonVersion(left: VersionRange, right: VersionRange): number | undefined {
  const newest = Math.min(left.max, right.max);
  return newest >= Math.max(left.min, right.min) ? newest : undefined;
}
