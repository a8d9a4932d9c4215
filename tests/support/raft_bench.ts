/** One node on the bench: inputs by hand, what it says in a list. */
import type { NodeId } from "../../core/base/ids.ts";
import type { Membership } from "../../core/raft/membership.ts";
import type { AppendMessage, Entry, Message } from "../../core/raft/message.ts";
import type { RaftOptions } from "../../core/raft/options.ts";
import type { Output, RaftEvent, ReadState } from "../../core/raft/output.ts";
import type { Raft } from "../../core/raft/raft.ts";
import { logOf, membershipOf, type MemoryLog, RaftNode, testChainHash } from "./raft_node.ts";

export const BENCH_OPTIONS: RaftOptions = {
  id: 1,
  electionTicks: 5,
  heartbeatTicks: 1,
  appendBytesMax: 1_000,
  appendsInFlightMax: 4,
  appendBytesInFlightMax: 10_000,
  uncommittedBytesMax: 10_000,
  chainHash: testChainHash,
};

export interface BenchStart extends Partial<RaftOptions> {
  readonly membership?: Membership;
  /** Terms of the data entries behind the first entry. */
  readonly terms?: readonly number[];
  readonly log?: MemoryLog;
  readonly term?: number;
  readonly vote?: NodeId;
  readonly commitIndex?: number;
  /** Draws election timeouts; 0 draws the shortest. */
  readonly random?: () => number;
}

type Kind = Message["kind"];

export class RaftBench {
  readonly node: RaftNode;
  readonly outputs: Output[] = [];
  #sent: Message[] = [];

  /** Node 1 of three, unless told otherwise; term and log durable, the first entry committed. */
  constructor(start: BenchStart = {}) {
    const { membership, terms, log, term, vote, commitIndex, random, ...options } = start;
    const held = log ?? logOf(membership ?? membershipOf([1, 2, 3]), terms ?? []);
    const hardState = { term: term ?? held.termAt(held.lastIndex())!, vote: vote ?? 0 };
    this.node = new RaftNode(
      { ...BENCH_OPTIONS, ...options },
      { hardState, log: held, commitIndex: commitIndex ?? Math.max(1, held.firstIndex() - 1) },
      random ?? (() => 0),
      {
        send: (message) => this.#sent.push(message),
        onOutput: (_, output) => this.outputs.push(output),
      },
    );
  }

  get raft(): Raft {
    return this.node.raft;
  }

  get status() {
    return this.raft.status();
  }

  tick(count = 1): void {
    for (let i = 0; i < count; i++) {
      this.raft.tick();
      this.node.run();
    }
  }

  /** A message to this node; what is on disk stays behind until `sync`. */
  receive(message: Message): void {
    this.raft.step(message);
    this.node.run();
  }

  sync(count?: number): void {
    this.node.run();
    this.node.sync(count);
    this.node.run();
  }

  /** Everything said since the last call, of one kind when told so. */
  sent<K extends Kind>(kind: K): Extract<Message, { kind: K }>[] {
    const isKind = (message: Message): message is Extract<Message, { kind: K }> => message.kind === kind;
    const found = this.#sent.filter(isKind);
    this.#sent = this.#sent.filter((message) => !isKind(message));
    return found;
  }

  forget(): void {
    this.#sent = [];
    this.outputs.length = 0;
  }

  get said(): readonly Message[] {
    return this.#sent;
  }

  get events(): RaftEvent[] {
    return this.outputs.flatMap((output) => output.events);
  }

  get reads(): ReadState[] {
    return this.outputs.flatMap((output) => output.readStates);
  }

  get fork(): Output["fork"] {
    return this.outputs.find((output) => output.fork !== undefined)?.fork;
  }

  /** Wins an election with everybody's vote; its first entry is durable here, nothing is acknowledged by others. */
  lead(): void {
    const { id } = this.node;
    this.raft.campaign();
    this.sync();
    for (const preVote of [true, false]) {
      for (const vote of this.sent("vote")) {
        this.receive({
          kind: "vote_reply",
          from: vote.to,
          to: id,
          term: vote.term,
          preVote,
          granted: true,
        });
      }
      this.sync();
    }
    this.sync();
  }

  /** A follower has everything up to `index`. */
  acknowledge(from: NodeId, index: number): void {
    const { id } = this.node;
    const { term } = this.raft;
    this.receive({
      kind: "append_reply",
      from,
      to: id,
      term,
      index,
      rejected: false,
      hintIndex: 0,
      hintTerm: 0,
    });
  }

  heartbeatReply(from: NodeId, readRound = 0, leaseMs = 0): void {
    const { id } = this.node;
    this.receive({ kind: "heartbeat_reply", from, to: id, term: this.raft.term, readRound, leaseMs });
  }
}

/** As a leader whose log is `log` sends what follows `previousIndex`. */
export function appendFrom(
  log: MemoryLog,
  from: NodeId,
  to: NodeId,
  term: number,
  previousIndex: number,
  entries: readonly Entry[] = log.list.filter(({ index }) => index > previousIndex),
  commitIndex = 0,
): AppendMessage {
  return {
    kind: "append",
    from,
    to,
    term,
    previousIndex,
    previousTerm: log.termAt(previousIndex)!,
    previousHash: log.hashAt(previousIndex)!,
    commitIndex,
    entries,
  };
}
