/** What a follower does with the messages of its leader (paper, 5.3; figure 2). */
import { mustHave } from "../base/assert.ts";
import type { LogIndex, Term } from "../base/ids.ts";
import { acceptLeader } from "./election.ts";
import type {
  AppendMessage,
  Entry,
  HeartbeatMessage,
  ReadIndexReply,
  SnapshotMessage,
  SnapshotMetadata,
} from "./message.ts";
import { decodeMembership } from "./membership.ts";
import type { Fork } from "./output.ts";
import type { RaftState } from "./state.ts";

export function onAppend(state: RaftState, message: AppendMessage): void {
  if (!acceptLeader(state, message.from)) return;
  // The log is about to be replaced. The leader asks again after a heartbeat.
  if (state.installing !== undefined) return;
  if (!isWellFormed(message)) {
    state.outbox.event("append_malformed", { from: message.from, previousIndex: message.previousIndex });
    return;
  }
  const previous = checkPrevious(state, message);
  if (previous === "rejected") return reject(state, message);
  if (previous === "fork") return;
  const first = firstNewEntry(state, message);
  if (first === "fork" || !chainHolds(state, message, first)) return;
  appendFrom(state, message, first);
  const shared = message.previousIndex + message.entries.length;
  state.commitTo(Math.min(message.commitIndex, shared));
  acknowledge(state, message.from, Math.max(shared, state.commitIndex));
}

function isWellFormed(message: AppendMessage): boolean {
  let index = message.previousIndex;
  let term = message.previousTerm;
  for (const entry of message.entries) {
    if (entry.index !== index + 1 || entry.term < term || entry.term > message.term) return false;
    index = entry.index;
    term = entry.term;
  }
  return term <= message.term;
}

/** Does the log have the entry before the new ones? Below the first index everything is committed, hence the same. */
function checkPrevious(state: RaftState, message: AppendMessage): "matches" | "rejected" | "fork" {
  const { log } = state;
  const { previousIndex, previousTerm, previousHash } = message;
  if (previousIndex < log.firstIndex - 1) return "matches";
  const term = log.termAt(previousIndex);
  if (term !== previousTerm) {
    if (previousIndex > state.commitIndex) return "rejected";
    reportFork(state, "committed_entry_differs", message.from, previousIndex, previousTerm, previousHash);
    return "fork";
  }
  if (log.hashAt(previousIndex) === previousHash) return "matches";
  reportFork(state, "hash_differs", message.from, previousIndex, previousTerm, previousHash);
  return "fork";
}

/** Position in `entries` of the first one that is missing here or contradicts ours; their count when none is. */
function firstNewEntry(state: RaftState, message: AppendMessage): number | "fork" {
  const { log } = state;
  const floor = log.firstIndex - 1;
  for (const [at, entry] of message.entries.entries()) {
    if (entry.index > log.lastIndex) return at;
    if (entry.index < floor) continue;
    if (log.termAt(entry.index) !== entry.term) {
      if (entry.index > state.commitIndex) return at;
      reportFork(state, "committed_entry_differs", message.from, entry.index, entry.term, entry.hash);
      return "fork";
    }
    if (log.hashAt(entry.index) !== entry.hash) {
      reportFork(state, "hash_differs", message.from, entry.index, entry.term, entry.hash);
      return "fork";
    }
  }
  return message.entries.length;
}

/** All new entries are checked before the first one is taken. */
function chainHolds(state: RaftState, message: AppendMessage, first: number): boolean {
  const { entries } = message;
  if (first === entries.length) return true;
  let hash = first === 0 ? message.previousHash : entries[first - 1]!.hash;
  for (let at = first; at < entries.length; at++) {
    const { term, index, type, data } = entries[at]!;
    hash = state.options.chainHash(hash, term, index, type, data);
    if (hash === entries[at]!.hash) continue;
    reportFork(state, "chain_broken", message.from, index, term, entries[at]!.hash);
    return false;
  }
  return true;
}

function appendFrom(state: RaftState, message: AppendMessage, first: number): void {
  const { entries } = message;
  const entry: Entry | undefined = entries[first];
  if (entry === undefined) return;
  // Only an entry that contradicts ours may cut the log: a late, shorter message proves nothing about what follows.
  if (entry.index <= state.log.lastIndex) state.truncateFrom(entry.index);
  for (let at = first; at < entries.length; at++) state.appendEntry(entries[at]!);
}

function acknowledge(state: RaftState, to: number, index: LogIndex): void {
  state.outbox.acknowledge({
    kind: "append_reply",
    from: state.id,
    to,
    term: state.term,
    index,
    rejected: false,
    hintIndex: 0,
    hintTerm: 0,
  });
}

/** The hint skips all entries of terms newer than the leader's previous one: none of them can match. */
function reject(state: RaftState, message: AppendMessage): void {
  const { log } = state;
  const hintIndex = log.lastIndexWithTermAtMost(
    Math.min(message.previousIndex, log.lastIndex),
    message.previousTerm,
  );
  state.outbox.sendAfterSync({
    kind: "append_reply",
    from: state.id,
    to: message.from,
    term: state.term,
    index: message.previousIndex,
    rejected: true,
    hintIndex,
    hintTerm: log.termAt(hintIndex) ?? 0,
  });
}

export function onHeartbeat(state: RaftState, message: HeartbeatMessage): void {
  if (!acceptLeader(state, message.from)) return;
  const { commitIndex } = message;
  if (commitIndex > state.log.lastIndex) {
    // The leader names at most what this node has acknowledged as durable.
    reportFork(state, "acknowledged_entries_missing", message.from, commitIndex, undefined, undefined);
    return;
  }
  state.commitTo(commitIndex);
  state.outbox.sendNow({
    kind: "heartbeat_reply",
    from: state.id,
    to: message.from,
    term: state.term,
    readRound: message.readRound,
    leaseMs: state.promise.make(message.from, message.leaseMs),
  });
}

export function onSnapshot(state: RaftState, message: SnapshotMessage): void {
  if (!acceptLeader(state, message.from)) return;
  const { snapshot } = message;
  if (state.installing !== undefined) return;
  if (snapshot.index <= state.commitIndex) return acknowledge(state, message.from, state.commitIndex);
  if (state.log.termAt(snapshot.index) === snapshot.term) {
    if (state.log.hashAt(snapshot.index) !== snapshot.hash) {
      reportFork(state, "hash_differs", message.from, snapshot.index, snapshot.term, snapshot.hash);
      return;
    }
    // The log has all of it, and perhaps acknowledged entries behind it, which must stay.
    state.commitTo(snapshot.index);
    return acknowledge(state, message.from, snapshot.index);
  }
  state.installing = snapshot;
  state.outbox.snapshot = snapshot;
  state.outbox.event("snapshot_wanted", { index: snapshot.index, lastIndex: state.log.lastIndex });
}

/** The driver has put the databases in place and begun a new log behind `metadata`, all of it durable. */
export function onSnapshotInstalled(state: RaftState, metadata: SnapshotMetadata): void {
  state.installing = undefined;
  if (metadata.index > state.commitIndex) {
    const membership = decodeMembership(metadata.membership);
    if (metadata.term > state.term) state.becomeFollower(metadata.term, 0);
    state.log.reset();
    mustHave(
      state.log.lastIndex === metadata.index && state.log.lastTerm === metadata.term ? metadata : undefined,
      () => `log that ends at snapshot ${metadata.index}: it ends at ${state.log.lastIndex}`,
    );
    state.commitIndex = metadata.index;
    state.memberships.installed(metadata.index, membership);
    state.durability.installed(metadata.index);
    state.outbox.membershipChanged = true;
    state.outbox.event("snapshot_installed", { index: metadata.index, term: metadata.term });
  }
  if (state.role === "follower" && state.leaderId !== 0) {
    acknowledge(state, state.leaderId, state.commitIndex);
  }
}

export function onReadIndexReply(state: RaftState, message: ReadIndexReply): void {
  if (message.from !== state.leaderId || !state.forwardedReads.answered(message.context)) return;
  state.answerRead(message.context, message.index, message.rejected);
}

function reportFork(
  state: RaftState,
  reason: Fork["reason"],
  leader: number,
  index: LogIndex,
  theirTerm: Term | undefined,
  theirHash: number | undefined,
): void {
  const ourTerm = state.log.termAt(index);
  const ourHash = state.log.hashAt(index);
  const fork: Fork = { reason, leader, index, ourTerm, ourHash, theirTerm, theirHash };
  state.outbox.fork = fork;
  state.outbox.event("fork_detected", { ...fork });
}
