/** A path of events in words, for people. */
import type { Message } from "../../core/raft/message.ts";
import type { ClusterEvent } from "./cluster_event.ts";
import type { ClusterState } from "./cluster_state.ts";
import type { Violation } from "./explorer.ts";
import type { EntryFacts, NodeFacts } from "./node_facts.ts";
import type { World } from "./world.ts";

/** One line per event with what the node is afterwards, then what is wrong, then all nodes. */
export function reportLines(world: World, { text, path }: Violation): string[] {
  const lines: string[] = [];
  let state = world.start();
  lines.push("start", ...nodeLines(world, state));
  for (const [at, event] of path.entries()) {
    lines.push(`${String(at + 1).padStart(3)}. ${eventText(world, state, event)}`);
    const step = world.step(state, event);
    if (step.kind !== "state") continue;
    const local = step.state.nodes[event.node - 1]!;
    if (local !== state.nodes[event.node - 1]) lines.push(`     ${nodeText(world.locals.facts(local))}`);
    for (const id of newMessages(state, step.state)) {
      lines.push(`     sends ${messageText(world.messages.message(id))}`);
    }
    state = step.state;
  }
  return [...lines, text, ...nodeLines(world, state)];
}

function nodeLines(world: World, { nodes }: ClusterState): string[] {
  return nodes.map((local) => `     ${nodeText(world.locals.facts(local))}`);
}

function newMessages(before: ClusterState, after: ClusterState): number[] {
  const old = [...before.messages];
  return after.messages.filter((id) => {
    const at = old.indexOf(id);
    if (at !== -1) old.splice(at, 1);
    return at === -1;
  });
}

function eventText(world: World, { nodes }: ClusterState, { kind, node, argument }: ClusterEvent): string {
  switch (kind) {
    case "deliver":
    case "duplicate": {
      const repeated = kind === "duplicate" ? ", which stays on the way" : "";
      return `node ${node} receives ${messageText(world.messages.message(argument))}${repeated}`;
    }
    case "sync":
      return `node ${node} ends its oldest sync`;
    case "campaign":
      return `node ${node} campaigns`;
    case "propose":
      return `node ${node} is given proposal ${argument}`;
    case "read":
      return `node ${node} is asked for read ${argument}`;
    case "tick":
      return `node ${node} ticks`;
    case "crash": {
      const point = world.locals.crashPoints(nodes[node - 1]!)[argument]!;
      const kept = `${point.hardStates} terms, ${point.appends} appends and ${point.entries} entries`;
      return `node ${node} crashes and restarts; of its writes under way ${kept} were kept`;
    }
    case "transfer":
      return `node ${node} hands over to ${argument}`;
  }
}

function nodeText(facts: NodeFacts): string {
  const { id, role, term, log, disk, diskTerm, diskVote, commitIndex, publishedIndex, unsynced } = facts;
  const commit = commitIndex === publishedIndex
    ? `commit ${commitIndex}`
    : `commit ${commitIndex}, published ${publishedIndex}`;
  return `node ${id}: ${role} in term ${term}, log terms ${termsOf(log)}, ${commit}; ` +
    `disk: term ${diskTerm}, vote ${diskVote}, log terms ${termsOf(disk)}; ${unsynced} unsynced`;
}

function termsOf(log: readonly EntryFacts[]): string {
  return log.map(({ term }) => term).join(" ");
}

export function messageText(message: Message): string {
  const { kind, from, to, term } = message;
  return `${kind} ${from} → ${to} of term ${term}${detailsOf(message)}`;
}

function detailsOf(message: Message): string {
  switch (message.kind) {
    case "append": {
      const entries = message.entries.map(({ index, term }) => `${index} of term ${term}`).join(", ");
      return ` after ${message.previousIndex} (${entries || "empty"}), commit ${message.commitIndex}`;
    }
    case "append_reply":
      return message.rejected ? `, refuses ${message.index}` : `, has ${message.index}`;
    case "heartbeat":
      return `, commit ${message.commitIndex}, read round ${message.readRound}`;
    case "heartbeat_reply":
      return `, read round ${message.readRound}`;
    case "vote":
      return `${message.preVote ? ", pre-vote" : ""}, last ${message.lastIndex} of term ${message.lastTerm}`;
    case "vote_reply":
      return `${message.preVote ? ", pre-vote" : ""}, ${message.granted ? "granted" : "refused"}`;
    case "read_index":
      return `, read ${message.context}`;
    case "read_index_reply":
      return message.rejected ? `, read ${message.context} refused` : `, read at ${message.index}`;
    case "snapshot":
      return ` at ${message.snapshot.index}`;
    case "timeout_now":
      return "";
  }
}
