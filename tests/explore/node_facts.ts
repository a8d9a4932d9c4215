import type { LogIndex, NodeId, Term } from "../../core/base/ids.ts";
import type { Role } from "../../core/raft/output.ts";
import type { MemoryLog, RaftNode } from "../support/raft_node.ts";

/** What the invariants ask of one node. */
export interface NodeFacts {
  readonly id: NodeId;
  readonly role: Role;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly publishedIndex: LogIndex;
  /** From index 1: no log is compacted here. */
  readonly log: readonly EntryFacts[];
  readonly disk: readonly EntryFacts[];
  readonly diskTerm: Term;
  readonly diskVote: NodeId;
  /** Outputs that wait for their sync. */
  readonly unsynced: number;
}

export interface EntryFacts {
  readonly term: Term;
  readonly hash: number;
}

export function factsOf(node: RaftNode): NodeFacts {
  const { role, term, commitIndex } = node.raft.status();
  return {
    id: node.id,
    role,
    term,
    commitIndex,
    publishedIndex: node.publishedIndex,
    log: entriesOf(node.log),
    disk: entriesOf(node.disk.log),
    diskTerm: node.disk.hardState.term,
    diskVote: node.disk.hardState.vote,
    unsynced: node.outstanding.length,
  };
}

function entriesOf(log: MemoryLog): EntryFacts[] {
  return log.list.map(({ term, hash }) => ({ term, hash }));
}
