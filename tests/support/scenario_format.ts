/** How scenarios write messages, entries and nodes: one line each. */
import { decodeMembership, type Membership } from "../../core/raft/membership.ts";
import { type Entry, EntryType, type Message } from "../../core/raft/message.ts";
import type { RaftNode } from "./raft_node.ts";

/** `index/term` and what is in it. */
export function formatEntry(entry: Entry): string {
  const place = `${entry.index}/${entry.term}`;
  if (entry.type === EntryType.empty) return `${place}:empty`;
  if (entry.type === EntryType.membership) {
    return `${place}:(${formatMembership(decodeMembership(entry.data))})`;
  }
  return `${place}:"${new TextDecoder().decode(entry.data)}"`;
}

export function formatMembership(
  { voters, votersOutgoing, learners, standBys, spares }: Membership,
): string {
  const outgoing = votersOutgoing.length > 0 ? ` outgoing ${votersOutgoing}` : "";
  const others = [["learners", learners], ["stand-bys", standBys], ["spares", spares]] as const;
  const named = others.filter(([, ids]) => ids.length > 0).map(([name, ids]) => ` ${name} ${ids}`);
  return `voters ${voters}${outgoing}${named.join("")}`;
}

export function formatMessage(message: Message): string {
  const head = `${message.from}>${message.to} ${message.kind} t${message.term}`;
  switch (message.kind) {
    case "append": {
      const entries = message.entries.map(formatEntry).join(" ");
      const after = `after ${message.previousIndex}/${message.previousTerm}`;
      return `${head} ${after} [${entries}] commit ${message.commitIndex}`;
    }
    case "append_reply":
      return message.rejected
        ? `${head} refused ${message.index}, hint ${message.hintIndex}/${message.hintTerm}`
        : `${head} has ${message.index}`;
    case "heartbeat":
      return `${head} commit ${message.commitIndex}${round(message.readRound)}${lease(message.leaseMs)}`;
    case "heartbeat_reply":
      return `${head}${round(message.readRound)}${lease(message.leaseMs)}`;
    case "vote":
      return `${head}${message.preVote ? " pre" : ""}${
        message.transfer ? " transfer" : ""
      } log ${message.lastIndex}/${message.lastTerm}`;
    case "vote_reply":
      return `${head}${message.preVote ? " pre" : ""} ${message.granted ? "granted" : "refused"}`;
    case "timeout_now":
      return head;
    case "read_index":
      return `${head} read ${message.context}`;
    case "read_index_reply":
      return `${head} read ${message.context} ${message.rejected ? "refused" : `at ${message.index}`}`;
    case "snapshot":
      return `${head} of ${message.snapshot.index}/${message.snapshot.term}`;
  }
}

function round(number: number): string {
  return number === 0 ? "" : ` round ${number}`;
}

function lease(ms: number): string {
  return ms === 0 ? "" : ` lease ${ms}`;
}

export function formatStatus(node: RaftNode): string {
  if (!node.alive) return `${node.id} is down`;
  const { role, term, leader, commitIndex, progress, transferTarget } = node.raft.status();
  const { log } = node;
  const terms: string[] = [];
  for (let index = log.firstIndex(); index <= log.lastIndex(); index++) terms.push(String(log.termAt(index)));
  const followers = progress.map(({ id, state, match, next }) => ` ${id}:${state} ${match}/${next}`).join();
  const { hardState, log: durable } = node.disk;
  const disk = `disk t${hardState.term} vote ${hardState.vote} to ${durable.lastIndex()}`;
  return `${node.id} ${role} t${term} leader ${leader} commit ${commitIndex} ${disk} ` +
    `log ${log.firstIndex()}..${log.lastIndex()} ` +
    `terms [${terms.join(" ")}] ${formatMembership(node.raft.membership)}` +
    (transferTarget === 0 ? "" : ` handing over to ${transferTarget}`) +
    (followers === "" ? "" : ` |${followers}`);
}
