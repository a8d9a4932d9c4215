/** What the leader sends to whom, and when (paper, 5.3; thesis, 10.2.1). */
import { mustHave } from "../base/assert.ts";
import type { LogIndex, Milliseconds } from "../base/ids.ts";
import type { Entry } from "./message.ts";
import type { Progress } from "./progress.ts";
import type { RaftState } from "./state.ts";

/** Sends a follower everything its window allows. Called once per output, so proposals of one turn share a message. */
export function replicate(state: RaftState, follower: Progress): void {
  if (follower.next - 1 < state.log.firstIndex - 1) return announceSnapshot(state, follower);
  switch (follower.state) {
    case "probe":
      if (!follower.probeOut) sendEntries(state, follower);
      return;
    case "replicate":
      while (follower.next <= state.log.lastIndex && !follower.inFlight.full) sendEntries(state, follower);
      // A lost window is found by an empty append that is refused.
      if (follower.askDue) sendAppend(state, follower, []);
      return;
    case "snapshot":
      if (state.tickCount - follower.snapshotAnnouncedTick > state.options.electionTicks) {
        announceSnapshot(state, follower);
      }
  }
}

/** No message has told the follower of a commit that it can act on. */
export function isCommitNews(state: RaftState, follower: Progress): boolean {
  return follower.commitSent < Math.min(state.commitIndex, follower.match);
}

/** Never names more than the follower is known to hold. */
export function sendHeartbeat(
  state: RaftState,
  follower: Progress,
  readRound: number,
  leaseMs: Milliseconds,
): void {
  const commitIndex = Math.min(follower.match, state.commitIndex);
  state.outbox.sendNow({
    kind: "heartbeat",
    from: state.id,
    to: follower.id,
    term: state.term,
    commitIndex,
    readRound,
    leaseMs,
  });
  follower.commitSent = Math.max(follower.commitSent, commitIndex);
}

function sendEntries(state: RaftState, follower: Progress): void {
  sendAppend(state, follower, state.log.entries(follower.next, state.options.appendBytesMax));
}

function sendAppend(state: RaftState, follower: Progress, entries: readonly Entry[]): void {
  const previousIndex = follower.next - 1;
  const lastIndex = previousIndex + entries.length;
  state.outbox.sendNow({
    kind: "append",
    from: state.id,
    to: follower.id,
    term: state.term,
    previousIndex,
    previousTerm: mustHave(state.log.termAt(previousIndex), () => `term of entry ${previousIndex}`),
    previousHash: mustHave(state.log.hashAt(previousIndex), () => `hash of entry ${previousIndex}`),
    commitIndex: state.commitIndex,
    entries,
  });
  follower.commitSent = Math.max(follower.commitSent, Math.min(state.commitIndex, lastIndex));
  follower.sent(lastIndex, sizeOf(entries));
}

/** Only to a follower that answers: for a dead one the work would be lost. After a failure not before a heartbeat did. */
function announceSnapshot(state: RaftState, follower: Progress): void {
  if (!follower.recentActive || follower.probeOut) return;
  const waits = state.tickCount - follower.snapshotAnnouncedTick <= state.options.electionTicks;
  if (follower.state === "snapshot" && waits) return;
  const snapshot = state.snapshotMetadata();
  follower.becomeSnapshot(snapshot.index, state.tickCount);
  state.outbox.sendNow({ kind: "snapshot", from: state.id, to: follower.id, term: state.term, snapshot });
  state.outbox.event("snapshot_announced", { to: follower.id, index: snapshot.index });
}

function sizeOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  return bytes;
}

/** Where the leader's and a follower's log may agree, given the follower's hint: whole terms are skipped here, too. */
export function retryIndexFor(state: RaftState, hintIndex: LogIndex, hintTerm: number): LogIndex {
  const index = Math.min(hintIndex, state.log.lastIndex);
  return hintTerm === 0 ? index : state.log.lastIndexWithTermAtMost(index, hintTerm);
}
