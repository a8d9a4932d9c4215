/** Invariants that one node can break on its own. Each returns what is wrong. */
import type { NodeId, Term } from "../../core/base/ids.ts";
import type { Message } from "../../core/raft/message.ts";
import type { Output } from "../../core/raft/output.ts";
import type { RaftNode } from "../support/raft_node.ts";
import type { NodeFacts } from "./node_facts.ts";

/** Events that only a fault of the core explains: nothing damages logs or messages here. */
const BAD_EVENTS: ReadonlySet<string> = new Set(["two_leaders", "append_malformed", "reply_malformed"]);

/** At the moment a message leaves: is what it says on this disk? */
export function checkSent(node: RaftNode, message: Message): string | undefined {
  const { log } = node.disk;
  switch (message.kind) {
    case "append_reply": {
      if (message.rejected || message.term !== node.raft.term) return;
      const durable = log.hashAt(message.index);
      if (durable !== undefined && durable === node.log.hashAt(message.index)) return;
      return `Ack before sync: node ${node.id} acknowledges ${message.index}, which is not on its disk`;
    }
    case "vote_reply":
      if (!message.granted || message.preVote) return;
      return checkVote(node, message.term, message.to, "grants its vote");
    case "vote":
      if (message.preVote) return;
      return checkVote(node, message.term, node.id, "asks for votes");
  }
}

function checkVote({ id, disk }: RaftNode, term: Term, vote: NodeId, does: string): string | undefined {
  const { hardState } = disk;
  if (hardState.term > term || (hardState.term === term && hardState.vote === vote)) return undefined;
  return `Vote before sync: node ${id} ${does} in term ${term}, its disk says ${JSON.stringify(hardState)}`;
}

export function checkOutput(node: RaftNode, output: Output): string | undefined {
  if (output.fork !== undefined) return `Fork on node ${node.id}: ${JSON.stringify(output.fork)}`;
  const bad = output.events.find(({ name }) => BAD_EVENTS.has(name));
  if (bad !== undefined) return `Event ${bad.name} on node ${node.id}: ${JSON.stringify(bad.facts)}`;
  return undefined;
}

/** Between two inputs. */
export function checkAtRest(facts: NodeFacts): string | undefined {
  const { id, publishedIndex, log, disk } = facts;
  if (log[facts.commitIndex - 1] === undefined) {
    return `Node ${id} commits ${facts.commitIndex} without having it`;
  }
  const published = log[publishedIndex - 1]?.hash;
  if (published !== undefined && published === disk[publishedIndex - 1]?.hash) return undefined;
  return `Node ${id} publishes ${publishedIndex}, which is not on its disk`;
}
