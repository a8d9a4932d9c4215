/** What is explored: where it starts and how often each thing may happen. */
import type { NodeId, Term } from "../../core/base/ids.ts";
import type { Message } from "../../core/raft/message.ts";

/** How often in all, over the three nodes. */
export interface Budget {
  /** A node hears no leader and campaigns. */
  readonly campaigns: number;
  readonly proposals: number;
  /** A linearizable read, at any node. */
  readonly reads: number;
  /** A tick at a leader: heartbeats, the check of the quorum. */
  readonly ticks: number;
  /** A crash at any moment of the writes under way, with the restart. */
  readonly crashes: number;
  /** A message is delivered and stays on the way. */
  readonly duplicates: number;
  /** Leadership is handed to another node. */
  readonly transfers: number;
}

export const BUDGET_NAMES = [
  "campaigns",
  "proposals",
  "reads",
  "ticks",
  "crashes",
  "duplicates",
  "transfers",
] as const satisfies readonly (keyof Budget)[];

/** Three bits each in the packed budget. */
export const BUDGET_MAX = 7;

/** A kind of message, or heartbeats that carry no read. */
export type LostKind = Message["kind"] | "idle_heartbeat";

export function isLost(message: Message, lost: readonly LostKind[]): boolean {
  if (lost.includes(message.kind)) return true;
  return message.kind === "heartbeat" && message.readRound === 0 && lost.includes("idle_heartbeat");
}

export interface Scope {
  readonly name: string;
  /** One line: what can happen. */
  readonly story: string;
  readonly start: {
    /** Terms of the entries behind the first one, in the logs of nodes 1, 2 and 3. */
    readonly logs: readonly (readonly Term[])[];
    /** On every disk, without a vote. */
    readonly term: Term;
    /** Has been elected in the next term, and everything it sent has arrived; 0: nobody leads. */
    readonly leader: NodeId;
  };
  /** False: campaigns begin with the vote itself, as when leadership is handed over. */
  readonly preVote: boolean;
  /** The network loses every message of these kinds. */
  readonly lost: readonly LostKind[];
  readonly budget: Budget;
}

const COLD = { logs: [[], [], []], term: 1, leader: 0 } as const;
const LED = { logs: [[], [], []], term: 1, leader: 1 } as const;

function upTo(budget: Partial<Budget>): Budget {
  const none = { campaigns: 0, proposals: 0, reads: 0, ticks: 0, crashes: 0, duplicates: 0, transfers: 0 };
  return { ...none, ...budget };
}

/** Explored to their end in the tests. Each campaign raises the term by one at most. */
export const SCOPES: readonly Scope[] = [
  {
    name: "election",
    story: "two campaigns with pre-votes from a cold start, one crash; entries are lost",
    start: COLD,
    preVote: true,
    lost: ["heartbeat", "append"],
    budget: upTo({ campaigns: 2, crashes: 1 }),
  },
  {
    name: "succession",
    story: "two leaders one after the other or at once, from a cold start",
    start: COLD,
    preVote: false,
    lost: ["heartbeat"],
    budget: upTo({ campaigns: 2 }),
  },
  {
    name: "replication",
    story: "a leader, one proposal, one campaign against it",
    start: LED,
    preVote: false,
    lost: ["heartbeat"],
    budget: upTo({ campaigns: 1, proposals: 1 }),
  },
  {
    name: "divergence",
    story: "logs that two leaders left behind, one campaign, one crash",
    start: { logs: [[2], [3], []], term: 3, leader: 0 },
    preVote: false,
    lost: ["heartbeat"],
    budget: upTo({ campaigns: 1, crashes: 1 }),
  },
  {
    name: "reads",
    story: "a leader, one read anywhere, one campaign against the leader",
    start: LED,
    preVote: false,
    lost: ["idle_heartbeat"],
    budget: upTo({ campaigns: 1, reads: 1 }),
  },
  {
    name: "heartbeats",
    story: "a leader, one proposal, one tick, one crash",
    start: LED,
    preVote: false,
    lost: [],
    budget: upTo({ proposals: 1, ticks: 1, crashes: 1 }),
  },
  {
    name: "duplicates",
    story: "a leader, one campaign against it, one message that arrives twice, one crash",
    start: LED,
    preVote: false,
    lost: ["heartbeat"],
    budget: upTo({ campaigns: 1, crashes: 1, duplicates: 1 }),
  },
  {
    name: "transfer",
    story: "a leader hands over, one crash",
    start: LED,
    preVote: true,
    lost: ["heartbeat"],
    budget: upTo({ transfers: 1, crashes: 1 }),
  },
];

/** Too large to be explored to its end: the command gives it a depth. */
export const TWO_TERMS: Scope = {
  name: "two_terms",
  story: "two leaders one after the other or at once, from a cold start, one proposal",
  start: COLD,
  preVote: false,
  lost: ["heartbeat"],
  budget: upTo({ campaigns: 2, proposals: 1 }),
};
