import type { Message } from "../../core/raft/message.ts";
import type { CrashPoint, RaftNode } from "../support/raft_node.ts";

/** What can happen to one node. */
export type LocalInput =
  | { readonly kind: "deliver"; readonly message: Message }
  /** The sync of the oldest output ends. */
  | { readonly kind: "sync" }
  | { readonly kind: "campaign"; readonly preVote: boolean }
  | { readonly kind: "propose"; readonly value: number }
  | { readonly kind: "read"; readonly context: number }
  | { readonly kind: "tick" }
  | { readonly kind: "crash"; readonly point: CrashPoint }
  | { readonly kind: "transfer"; readonly to: number };

/** Gives the input to the core and carries out what comes of it, but for the syncs. */
export function applyInput(node: RaftNode, input: LocalInput): void {
  const { raft } = node;
  switch (input.kind) {
    case "deliver":
      // The election timeout has passed here by the time a question for a vote arrives. When it has not, the node
      // does not listen, and the question might as well have been lost.
      if (input.message.kind === "vote" && input.message.term >= raft.term) raft.forgetLeader();
      raft.step(input.message);
      break;
    case "sync":
      node.sync(1);
      break;
    case "campaign":
      campaign(node, input.preVote);
      break;
    case "propose":
      // Two bytes, and room for one in a message: each entry travels alone.
      raft.propose(Uint8Array.of(input.value, 0));
      break;
    case "read":
      raft.readIndex(input.context);
      break;
    case "tick":
      raft.tick();
      break;
    case "crash":
      node.crash(input.point);
      node.restart();
      break;
    case "transfer":
      raft.transferLeadership(input.to);
  }
  node.run();
}

function campaign({ id, raft }: RaftNode, preVote: boolean): void {
  raft.forgetLeader();
  if (preVote) raft.campaign();
  else raft.step({ kind: "timeout_now", from: id === 1 ? 2 : 1, to: id, term: raft.term });
}

/** Every way a crash can fall into the writes under way: each file keeps a beginning of what was written to it. */
export function crashPoints(node: RaftNode): CrashPoint[] {
  const hardStates = node.outstanding.filter((output) => output.hardState !== undefined).length;
  const appends = node.outstanding.filter((output) => output.entries.length > 0);
  const points: CrashPoint[] = [];
  for (let states = 0; states <= hardStates; states++) {
    for (let whole = 0; whole <= appends.length; whole++) {
      const torn = appends[whole]?.entries.length ?? 1;
      for (let entries = 0; entries < torn; entries++) {
        points.push({ hardStates: states, appends: whole, entries });
      }
    }
  }
  return points;
}
