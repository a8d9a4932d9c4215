import { NodeError } from "../base/errors.ts";
import type { LogIndex, NodeId } from "../base/ids.ts";
import type { Clock, Disk, EventSink } from "../base/ports.ts";
import type { Log } from "../log/log.ts";
import type { Fork } from "../raft/output.ts";
import type { Raft } from "../raft/raft.ts";
import { explainFork, type ForkReport, writeForkReport } from "./fork_report.ts";
import { contradicts, forkVerdict, isSame, type LogMark } from "./fork_verdict.ts";

export interface ForkJudgeOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly nodeId: NodeId;
  readonly raft: Pick<Raft, "membership">;
  readonly log: Pick<Log, "lastIndex" | "termAt" | "hashAt">;
  readonly committedIndex: () => LogIndex;
  /** What the member's log holds. Rejects with NodeError when it cannot be asked. */
  readonly askMark: (member: NodeId, index: LogIndex) => Promise<LogMark | null>;
  /** Lets the member judge for itself. */
  readonly tell: (member: NodeId, index: LogIndex) => Promise<unknown>;
  readonly onFatal: (error: Error) => void;
}

/** A fork shows itself with every message of the leader; all members are asked at most this often. */
const PAUSE_MS = 1_000;

/**
 * Two logs disagree where Raft says that they cannot: one of them is damaged, and neither side knows which. This asks all
 * members what they hold at that index. The node that a majority contradicts stops, whether it leads or follows (promise 4);
 * nobody else does, and without enough answers nobody at all: the next sign of the fork asks again.
 */
export class ForkJudge {
  readonly #options: ForkJudgeOptions;
  /** The end of the log as it was read from disk, until it is known that the leader has the same. */
  #unchecked: { readonly index: LogIndex; readonly mark: LogMark } | undefined;
  #judging = false;
  #notBeforeMs = -Infinity;

  constructor(options: ForkJudgeOptions) {
    this.#options = options;
    const index = options.log.lastIndex();
    const mark = this.mark(index);
    if (index > 0 && mark !== null) this.#unchecked = { index, mark };
  }

  /**
   * With every tick. What comes from a leader is compared as it comes, what was on disk at the start is not: without new
   * entries nobody would look at it, and reads would be served from it. So it is compared once.
   *
   * @param leader 0 when unknown
   */
  sweep(leader: NodeId): void {
    if (this.#unchecked === undefined || leader === 0) return;
    const { nodeId, log } = this.#options;
    const { index, mark } = this.#unchecked;
    const now = this.mark(index);
    // A leader is compared by its followers. Otherwise what was added or put in its place was compared with what is before.
    if (leader === nodeId || log.lastIndex() > index || now === null || !isSame(now, mark)) {
      this.#unchecked = undefined;
    } else this.#start(() => this.#compare(leader, index, now));
  }

  async #compare(leader: NodeId, index: LogIndex, ours: LogMark): Promise<void> {
    const theirs = await this.#options.askMark(leader, index).catch(nullIfRefused);
    if (theirs === null) return;
    if (isSame(theirs, ours)) this.#unchecked = undefined;
    else if (contradicts(ours, theirs)) await this.#judge(index, "compared_after_start", leader);
  }

  /** The core has met a fork and did not act on the message that showed it. */
  suspect({ index, reason, leader }: Pick<Fork, "index" | "reason" | "leader">): void {
    switch (reason) {
      case "acknowledged_entries_missing":
        // Nothing to compare: the leader knows from this node itself that it had them.
        return this.#options.onFatal(
          new Error(
            `Entry ${index}, which this node acknowledged, is not in its log: the disk lost it. Remove this node from the ` +
              "cluster and let it join again with an empty data folder",
          ),
        );
      case "chain_broken":
        // The message contradicts itself: this node's log has no part in it.
        return this.#start(() => this.#tell(leader, index));
      case "hash_differs":
      case "committed_entry_differs":
        return this.#start(() => this.#judge(index, reason, leader));
    }
  }

  /** Another member says that its log and this one's disagree. */
  suspectedBy(member: NodeId, index: LogIndex): void {
    this.#start(() => this.#judge(index, `member ${member} holds another entry`, undefined));
  }

  /** What this node holds; null where its log does not reach. */
  mark(index: LogIndex): LogMark | null {
    const { log, committedIndex } = this.#options;
    const term = log.termAt(index);
    const hash = log.hashAt(index);
    return term === undefined || hash === undefined
      ? null
      : { term, hash, committed: index <= committedIndex() };
  }

  #start(action: () => Promise<void>): void {
    const { clock, onFatal } = this.#options;
    if (this.#judging || clock.nowMs() < this.#notBeforeMs) return;
    this.#judging = true;
    action().catch((error) => {
      onFatal(error instanceof Error ? error : new Error(String(error)));
    }).finally(() => {
      this.#judging = false;
      this.#notBeforeMs = clock.nowMs() + PAUSE_MS;
    });
  }

  async #judge(index: LogIndex, reason: string, leader: NodeId | undefined): Promise<void> {
    const { raft, nodeId, events } = this.#options;
    const ours = this.mark(index);
    const theirs = await this.#askOthers(index);
    const verdict = forkVerdict(ours, theirs, raft.membership, nodeId);
    events.event("fork_judged", { index, reason, verdict, ours, theirs });
    if (verdict === "minority") return await this.#stop({ index, reason, ours, theirs });
    // Also when undecided: the leader may reach members that this node does not.
    if (leader !== undefined) await this.#tell(leader, index);
  }

  async #askOthers(index: LogIndex): Promise<Record<NodeId, LogMark | null>> {
    const { raft, nodeId, askMark } = this.#options;
    const others = raft.membership.members.map(({ id }) => id).filter((id) => id !== nodeId);
    const theirs: Record<NodeId, LogMark | null> = {};
    await Promise.all(others.map(async (id) => {
      // Who cannot be asked has no voice.
      theirs[id] = await askMark(id, index).catch(nullIfRefused);
    }));
    return theirs;
  }

  async #tell(leader: NodeId, index: LogIndex): Promise<void> {
    const { nodeId, tell } = this.#options;
    if (leader !== nodeId) await tell(leader, index).catch(nullIfRefused);
  }

  async #stop(found: Pick<ForkReport, "index" | "reason" | "ours" | "theirs">): Promise<void> {
    const { disk, clock, nodeId, onFatal } = this.#options;
    const report: ForkReport = { wallMs: clock.wallMs(), nodeId, ...found };
    let unwritten = "";
    // Without a report the node stops all the same, and meets the fork again when it is started.
    await writeForkReport(disk, report).catch((error) => {
      unwritten = ` (the report could not be written: ${error instanceof Error ? error.message : error})`;
    });
    onFatal(new Error(`This node is in the minority: ${explainFork(report)}${unwritten}`));
  }
}

function nullIfRefused(error: unknown): null {
  if (error instanceof NodeError) return null;
  throw error;
}
