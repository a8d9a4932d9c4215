/** Faults that the exploration has to find: each is an edit of the copy it runs on. */
import type { Edit } from "./core_copy.ts";
import type { Budget, LostKind } from "./scope.ts";

export interface PlantedBug {
  readonly name: string;
  readonly scope: string;
  /** Where the scope as it is does not show it, or not soon. */
  readonly budget?: Partial<Budget>;
  readonly lost?: readonly LostKind[];
  readonly depthMax?: number;
  readonly edit: Edit;
  /** What has to be said about it. */
  readonly finds: RegExp;
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "a vote is forgotten over a restart",
    scope: "election",
    edit: {
      file: "core/raft/state.ts",
      find: "this.vote = start.hardState.vote;",
      replace: "this.vote = 0;",
    },
    finds: /^Election safety/,
  },
  {
    name: "the driver does not sync term and vote",
    scope: "election",
    edit: {
      file: "tests/support/raft_node.ts",
      find: "if (output.hardState !== undefined) this.disk.hardState = output.hardState;",
      replace: "",
    },
    finds: /^Vote before sync/,
  },
  {
    name: "a candidate asks before its own vote is on disk",
    scope: "succession",
    edit: {
      file: "core/raft/candidate.ts",
      find: "else state.outbox.sendAfterSync(message);",
      replace: "else state.outbox.sendNow(message);",
    },
    finds: /^Vote before sync/,
  },
  {
    name: "votes go to anybody, however old the log",
    scope: "replication",
    edit: {
      file: "core/raft/election.ts",
      find: "const granted = free && !state.promise.isBinding && isUpToDate(state, message);",
      replace: "const granted = free && (isUpToDate(state, message) || true);",
    },
    finds: /^Leader completeness/,
  },
  {
    name: "a follower acknowledges before its sync",
    scope: "divergence",
    edit: {
      file: "core/raft/follower.ts",
      find: "state.outbox.acknowledge({",
      replace: "state.outbox.sendNow({",
    },
    finds: /^Ack before sync/,
  },
  {
    name: "the driver does not wait for the sync",
    scope: "divergence",
    edit: {
      file: "tests/support/raft_node.ts",
      find: "this.outstanding.push(output);",
      replace:
        "for (const early of output.sendAfterSync) this.#hooks.send(early); this.outstanding.push(output);",
    },
    finds: /^(Ack|Vote) before sync/,
  },
  {
    name: "a leader counts itself before its own sync",
    scope: "replication",
    edit: {
      file: "core/raft/leader.ts",
      find: "id === state.id ? durability.durableIndex :",
      replace: "id === state.id ? log.lastIndex :",
    },
    finds: /^Committed is durable/,
  },
  {
    name: "a commit is published before it is on this disk",
    scope: "replication",
    edit: {
      file: "core/raft/raft.ts",
      find: "Math.min(state.commitIndex, durability.durableIndex)",
      replace: "state.commitIndex",
    },
    finds: /publishes \d+, which is not on its disk/,
  },
  {
    name: "entries of older terms are committed by counting",
    scope: "divergence",
    budget: { campaigns: 2, crashes: 0 },
    edit: {
      file: "core/raft/leader.ts",
      find: " || log.termAt(index) !== state.term) return;",
      replace: ") return;",
    },
    finds: /^Leader completeness/,
  },
  {
    name: "an old sync vouches for the entry that replaced its own",
    scope: "divergence",
    budget: { campaigns: 2, crashes: 0 },
    edit: {
      file: "core/raft/durability.ts",
      find: "if (output.lastIndex >= index) output.lastIndex = index - 1;",
      replace: "",
    },
    finds: /which is not on its disk|^Committed is durable/,
  },
  {
    name: "an append that arrives late cuts off what came after it",
    scope: "duplicates",
    budget: { campaigns: 0, crashes: 0, proposals: 2 },
    edit: {
      file: "core/raft/follower.ts",
      find: "if (entry.index > log.lastIndex) return at;",
      replace: "if (entry.index > state.commitIndex) return at;",
    },
    finds: /^Ack before sync/,
  },
  {
    name: "answers of older terms are counted",
    scope: "replication",
    budget: { crashes: 1 },
    // It shows in the proof that late messages do nothing, at the end.
    depthMax: 10,
    edit: {
      file: "core/raft/election.ts",
      find: "answerOlder(state, message);\n    return false;",
      replace: 'answerOlder(state, message);\n    return message.kind === "append_reply";',
    },
    finds: /^Late message/,
  },
  {
    name: "a read is answered without asking who leads",
    scope: "reads",
    edit: {
      file: "core/raft/read_index.ts",
      find: "if (each.round > round) break;",
      replace: "",
    },
    finds: /^Stale read/,
  },
  {
    name: "a new leader serves reads before it has committed in its term",
    scope: "reads",
    budget: { proposals: 1 },
    lost: ["idle_heartbeat", "read_index"],
    edit: {
      file: "core/raft/leader.ts",
      find: "if (state.commitIndex >= this.#termStart) this.#serveReads();",
      replace: "this.#serveReads();",
    },
    finds: /^Stale read/,
  },
  {
    name: "a heartbeat names more than the follower has",
    scope: "heartbeats",
    edit: {
      file: "core/raft/replication.ts",
      find: "const commitIndex = Math.min(follower.match, state.commitIndex);",
      replace: "const commitIndex = state.commitIndex;",
    },
    finds: /^Fork on node/,
  },
  {
    name: "who takes over asks before its own vote is on disk",
    scope: "transfer",
    edit: {
      file: "core/raft/candidate.ts",
      find: "if (preVote) state.outbox.sendNow(message);",
      replace: "if (preVote || message.transfer) state.outbox.sendNow(message);",
    },
    finds: /^Vote before sync/,
  },
];
