import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId, Term } from "../base/ids.ts";
import type { Clock, Disk, EventSink } from "../base/ports.ts";
import type { Log } from "../log/log.ts";
import { readWholeFile, replaceFile } from "../log/replace_file.ts";
import type { Fork } from "../raft/output.ts";
import type { Raft } from "../raft/raft.ts";

/** What a member's log holds at an index. */
export interface LogMark {
  readonly term: Term;
  readonly hash: number;
  /** It is committed there. Entries that are not may differ: another leader may replace them. */
  readonly committed: boolean;
}

export interface ForkJudgeOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly nodeId: NodeId;
  readonly raft: Raft;
  readonly log: Log;
  readonly committedIndex: () => LogIndex;
  readonly askMark: (member: NodeId, index: LogIndex) => Promise<LogMark | null>;
  readonly tell: (member: NodeId, index: LogIndex) => Promise<unknown>;
  readonly onFatal: (error: Error) => void;
}

export const FORK_REPORT_PATH = "fork.json";
/** What could not be decided is looked at again with the next sign of it, not before. */
const PAUSE_MS = 1_000;

/** On disk as JSON: the first thing an operator looks for when a node has stopped. */
export interface ForkReport {
  readonly formatVersion: 1;
  readonly wallMs: Milliseconds;
  readonly nodeId: NodeId;
  readonly index: LogIndex;
  readonly reason: string;
  readonly ours: LogMark | null;
  /** By member. */
  readonly theirs: Readonly<Record<string, LogMark | null>>;
}

/**
 * Two logs disagree where Raft says that they cannot: one of them is damaged, and neither side knows which. This asks all
 * members what they hold at that index. The node that a majority contradicts stops, whether it leads or follows (promise 4).
 */
export class ForkJudge {
  readonly #options: ForkJudgeOptions;
  #judging = false;
  #notBeforeMs = 0;

  constructor(options: ForkJudgeOptions) {
    this.#options = options;
  }

  /** The core has met a fork and did not act on the message that showed it. */
  suspect({ index, reason, leader }: Pick<Fork, "index" | "reason" | "leader">): void {
    if (reason === "acknowledged_entries_missing") {
      return this.#options.onFatal(
        new Error(
          `Entry ${index}, which this node acknowledged, is not in its log: the disk lost it. Remove this node from the ` +
            "cluster and let it join again with an empty data folder",
        ),
      );
    }
    this.#start(index, reason, leader);
  }

  /** Another member says that its log and this one's disagree. */
  suspectedBy(member: NodeId, index: LogIndex): void {
    this.#start(index, `member ${member} holds another entry`, undefined);
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

  #start(index: LogIndex, reason: string, leader: NodeId | undefined): void {
    const { clock, onFatal } = this.#options;
    if (this.#judging || clock.nowMs() < this.#notBeforeMs) return;
    this.#judging = true;
    this.#judge(index, reason, leader).catch((error) => {
      onFatal(error instanceof Error ? error : new Error(String(error)));
    }).finally(() => {
      this.#judging = false;
      this.#notBeforeMs = clock.nowMs() + PAUSE_MS;
    });
  }

  async #judge(index: LogIndex, reason: string, leader: NodeId | undefined): Promise<void> {
    const { raft, nodeId, events, askMark, tell } = this.#options;
    const ours = this.mark(index);
    const others = raft.membership.members.map(({ id }) => id).filter((id) => id !== nodeId);
    const theirs: Record<string, LogMark | null> = {};
    await Promise.all(others.map(async (id) => {
      // Who cannot be asked has no voice.
      theirs[id] = await askMark(id, index).catch((error) => {
        if (error instanceof NodeError) return null;
        throw error;
      });
    }));
    const verdict = judge(ours, theirs, raft.membership.voters, nodeId);
    events.event("fork_judged", { index, reason, verdict, ours, theirs });
    if (verdict === "minority") return await this.#stop({ index, reason, ours, theirs });
    if (leader !== undefined && leader !== nodeId) await tell(leader, index).catch(() => {});
  }

  async #stop(found: Pick<ForkReport, "index" | "reason" | "ours" | "theirs">): Promise<void> {
    const { disk, clock, nodeId, onFatal } = this.#options;
    const report: ForkReport = { formatVersion: 1, wallMs: clock.wallMs(), nodeId, ...found };
    await replaceFile(
      disk,
      FORK_REPORT_PATH,
      new TextEncoder().encode(`${JSON.stringify(report, undefined, 2)}\n`),
    );
    onFatal(new Error(explainFork(report)));
  }
}

/**
 * Two members contradict each other when they hold other hashes for the same term, or other terms where both know the
 * entry to be committed. A node that more than half of the voters contradict is in the minority.
 */
export function judge(
  ours: LogMark | null,
  theirs: Readonly<Record<string, LogMark | null>>,
  voters: readonly NodeId[],
  nodeId: NodeId,
): "minority" | "undecided" {
  if (ours === null) return "undecided";
  const against = voters.filter((id) => id !== nodeId && contradicts(ours, theirs[id] ?? null));
  return against.length * 2 > voters.length ? "minority" : "undecided";
}

function contradicts(ours: LogMark, theirs: LogMark | null): boolean {
  if (theirs === null) return false;
  if (ours.term === theirs.term) return ours.hash !== theirs.hash;
  return ours.committed && theirs.committed;
}

export function explainFork({ nodeId, index, reason, theirs }: ForkReport): string {
  const others = Object.keys(theirs).filter((id) => theirs[id] !== null).join(", ");
  return `The log of this node (${nodeId}) and those of members ${others} hold other entries at ${index} (${reason}), and a ` +
    `majority agrees against this node. Its log is damaged from there on or before. See ${FORK_REPORT_PATH} and "walraft ` +
    `verify"; keep the data folder for an examination, remove this node from the cluster and let it join again with an ` +
    "empty one";
}

/** The report of a fork that stopped this node; undefined when there is none. */
export function readForkReport(disk: Disk): ForkReport | undefined {
  const bytes = readWholeFile(disk, FORK_REPORT_PATH);
  return bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes)) as ForkReport;
}
