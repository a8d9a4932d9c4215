import type { LogIndex, NodeId, Term } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { LeaseOptions } from "./lease.ts";
import type { EntryType } from "./message.ts";

/** Hash of an entry and, through the hash before it, of the whole log up to it; unsigned 32 bits. */
export type ChainHash = (
  previousHash: number,
  term: Term,
  index: LogIndex,
  type: EntryType,
  data: Uint8Array,
) => number;

export interface RaftOptions {
  readonly id: NodeId;
  /** Least ticks without a leader before an election; each timeout is drawn anew from `[T, 2T - 1]`. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** Data bytes of one append message; one entry is always sent. */
  readonly appendBytesMax: number;
  /** Appends with entries under way to one follower. */
  readonly appendsInFlightMax: number;
  readonly appendBytesInFlightMax: number;
  /** Data bytes proposed but not committed on the leader. */
  readonly uncommittedBytesMax: number;
  readonly chainHash: ChainHash;
  /** Left out: no leases, and no promises. */
  readonly lease?: LeaseOptions;
}

/** @throws RangeError for values with which elections or replication could not work */
export function checkRaftOptions(options: RaftOptions): RaftOptions {
  const positive = [
    "id",
    "electionTicks",
    "heartbeatTicks",
    "appendBytesMax",
    "appendsInFlightMax",
    "appendBytesInFlightMax",
    "uncommittedBytesMax",
  ] as const;
  for (const name of positive) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1) {
      throw new RangeError(`Cannot start Raft with ${name} = ${options[name]}: use a whole number above 0`);
    }
  }
  // A heartbeat that comes no earlier than the election timeout lets healthy followers vote the leader away.
  if (options.electionTicks <= options.heartbeatTicks) {
    throw new RangeError(
      `Cannot start Raft with electionTicks = ${options.electionTicks}: must be above heartbeatTicks = ${options.heartbeatTicks}`,
    );
  }
  const leaseMs = options.lease?.ms ?? 0;
  if (!Number.isSafeInteger(leaseMs) || leaseMs < 0 || leaseMs > LIMITS.leaseMsMax) {
    throw new RangeError(`Cannot start Raft with leases of ${leaseMs} ms: use 0 to ${LIMITS.leaseMsMax}`);
  }
  return options;
}
