/** Invariants over the three nodes at one moment (paper, figure 3). Each returns what is wrong. */
import type { Term } from "../../core/base/ids.ts";
import type { EntryFacts, NodeFacts } from "./node_facts.ts";

interface Commit extends EntryFacts {
  readonly committedIn: Term;
}

export function checkCluster(nodes: readonly NodeFacts[], commits: readonly Commit[]): string | undefined {
  return checkMajority(nodes, commits) ?? checkLeaders(nodes, commits) ?? checkLogs(nodes);
}

/** The hash covers all before it, so the last committed entry stands for all. */
function checkMajority(nodes: readonly NodeFacts[], commits: readonly Commit[]): string | undefined {
  const index = commits.length;
  const hash = commits[index - 1]?.hash;
  let holders = 0;
  for (const { disk } of nodes) if (disk[index - 1]?.hash === hash) holders++;
  if (holders * 2 > nodes.length) return undefined;
  return `Committed is durable: entry ${index} is committed and on ${holders} of ${nodes.length} disks`;
}

function checkLeaders(nodes: readonly NodeFacts[], commits: readonly Commit[]): string | undefined {
  for (const { id, role, term, log } of nodes) {
    if (role !== "leader") continue;
    for (const [at, { committedIn, hash }] of commits.entries()) {
      if (committedIn < term && log[at]?.hash !== hash) {
        return `Leader completeness: ${id} leads term ${term} without committed entry ${at + 1}`;
      }
    }
  }
  return undefined;
}

function checkLogs(nodes: readonly NodeFacts[]): string | undefined {
  const logs = nodes.flatMap(({ id, log, disk }) => [{ id, log }, { id, log: disk }]);
  for (let a = 0; a < logs.length; a++) {
    for (let b = a + 1; b < logs.length; b++) {
      const [one, other] = [logs[a]!, logs[b]!];
      const at = firstContradiction(one.log, other.log);
      if (at !== undefined) return `Log matching: entry ${at + 1} differs on nodes ${one.id} and ${other.id}`;
    }
  }
  return undefined;
}

/** Equal index and term, other content at or before it. */
function firstContradiction(one: readonly EntryFacts[], other: readonly EntryFacts[]): number | undefined {
  for (let at = 0; at < one.length && at < other.length; at++) {
    if (one[at]!.term === other[at]!.term && one[at]!.hash !== other[at]!.hash) return at;
  }
  return undefined;
}
