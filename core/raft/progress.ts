import { assert } from "../base/assert.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import { InFlight } from "./in_flight.ts";
import type { RaftOptions } from "./options.ts";

/**
 * - `probe`: where the logs agree is not known; one append at a time, the next after an answer or a heartbeat answer.
 * - `replicate`: the logs agree up to `match`; appends follow each other without waiting.
 * - `snapshot`: the entries it needs are gone; nothing is appended until the snapshot is installed.
 * - `spare`: it is sent heartbeats only.
 */
export type ProgressState = "probe" | "replicate" | "snapshot" | "spare";

/** One follower as seen by the leader. `match < next` always; `match` never moves back. */
export class Progress {
  readonly id: NodeId;
  readonly inFlight: InFlight;
  state: ProgressState = "probe";
  /** Highest index known to be durable there and equal to the leader's log. */
  match: LogIndex = 0;
  /** Next index to send. */
  next: LogIndex;
  /** State `probe`: one append is out, wait. */
  probeOut = false;
  /** State `replicate`: a heartbeat came back while acknowledgements are missing; ask with an empty append. */
  askDue = false;
  /** State `snapshot`: the index that was announced. */
  snapshotIndex: LogIndex = 0;
  snapshotAnnouncedTick = 0;
  /** Heard since the last check of the quorum. */
  recentActive = true;
  lastContactTick: number;
  /** Newest read round it answered. */
  readRound = 0;
  /** When its newest promise counts from; see lease.ts. */
  promisedFromMs: Milliseconds = -Infinity;
  /** Highest commit index a message of ours would have told it. */
  commitSent: LogIndex = 0;

  constructor(id: NodeId, next: LogIndex, tick: number, options: RaftOptions) {
    this.id = id;
    this.next = next;
    this.lastContactTick = tick;
    this.inFlight = new InFlight(options.appendsInFlightMax, options.appendBytesInFlightMax);
  }

  heard(tick: number): void {
    this.recentActive = true;
    this.lastContactTick = tick;
  }

  becomeProbe(next: LogIndex): void {
    this.state = "probe";
    this.next = Math.max(next, this.match + 1);
    this.probeOut = false;
    this.askDue = false;
    this.snapshotIndex = 0;
    this.inFlight.clear();
  }

  becomeReplicate(): void {
    this.becomeProbe(this.match + 1);
    this.state = "replicate";
  }

  becomeSnapshot(index: LogIndex, tick: number): void {
    this.becomeProbe(this.next);
    this.state = "snapshot";
    this.snapshotIndex = index;
    this.snapshotAnnouncedTick = tick;
  }

  /** It is a spare from here on: who keeps up is sent what there is now, its new role included, before `becomeSpare`. */
  dismiss(): void {
    if (this.state !== "replicate") this.becomeSpare();
  }

  becomeSpare(): void {
    if (this.state === "spare") return;
    this.becomeProbe(this.match + 1);
    this.state = "spare";
  }

  /** An append with entries up to `lastIndex` left (`lastIndex = next - 1` for an empty one). */
  sent(lastIndex: LogIndex, bytes: number): void {
    assert(
      this.state !== "snapshot" && this.state !== "spare",
      "Cannot append to a follower that waits for a snapshot, or to a spare",
    );
    if (this.state === "probe") {
      this.probeOut = true;
      return;
    }
    this.askDue = false;
    if (lastIndex < this.next) return;
    this.next = lastIndex + 1;
    this.inFlight.add(lastIndex, bytes);
  }

  /**
   * An append up to `index` was accepted. Late and repeated answers change nothing.
   *
   * @param firstIndex of the leader's log: a snapshot is over when the log can go on from `index`
   */
  accepted(index: LogIndex, firstIndex: LogIndex): void {
    if (index > this.match) this.match = index;
    if (this.next <= this.match) this.next = this.match + 1;
    if (this.state === "replicate") {
      this.inFlight.freeTo(this.match);
      if (this.inFlight.count === 0) this.askDue = false;
    } else if (this.state === "probe") {
      // An answer to an earlier state's message may be older than the place now probed.
      if (index >= this.match) this.becomeReplicate();
    } else if (this.state === "snapshot" && this.match + 1 >= firstIndex) {
      this.becomeReplicate();
    }
  }

  /**
   * The append after `rejectedIndex` was refused.
   *
   * @param retryIndex where the logs may agree according to the follower's hint
   * @returns false when the refusal is out of date
   */
  rejected(rejectedIndex: LogIndex, retryIndex: LogIndex): boolean {
    if (this.state === "snapshot" || this.state === "spare") return false;
    if (this.state === "replicate") {
      if (rejectedIndex <= this.match) return false;
      // Something before it was lost on the way; up to `match` the logs are known to agree.
      this.becomeProbe(this.match + 1);
      return true;
    }
    if (rejectedIndex !== this.next - 1) return false;
    this.becomeProbe(Math.min(rejectedIndex, retryIndex + 1));
    return true;
  }
}
