/** Who may vote for whom, and which messages of other terms count (paper, 5.1, 5.2, 5.4.1; thesis, 4.2.3, 9.6). */
import type { Message, VoteMessage } from "./message.ts";
import type { RaftState } from "./state.ts";

/** Applies the rules on terms. Returns whether the message is to be handled by the role. */
export function admit(state: RaftState, message: Message): boolean {
  if (message.term > state.term) return admitNewer(state, message);
  if (message.term < state.term) {
    answerOlder(state, message);
    return false;
  }
  return true;
}

function admitNewer(state: RaftState, message: Message): boolean {
  switch (message.kind) {
    case "vote":
      // Whoever may hold a lease relies on it, also when leadership is handed over.
      if (state.promise.isBinding || (!message.transfer && heardLeaderRecently(state))) return false;
      // A dry run promises nothing, so it raises no term.
      if (!message.preVote) state.becomeFollower(message.term, 0);
      return true;
    case "vote_reply":
      if (message.preVote && message.granted) return true;
      break;
    case "append":
    case "heartbeat":
    case "snapshot":
      state.becomeFollower(message.term, message.from);
      return true;
  }
  state.becomeFollower(message.term, 0);
  return true;
}

/**
 * A removed or half-connected node must not depose a leader that the others hear (thesis, 4.2.3). A leader relies on
 * its own check of the quorum instead.
 */
function heardLeaderRecently(state: RaftState): boolean {
  if (state.role === "leader") return true;
  return state.leaderId !== 0 && state.electionElapsed < state.options.electionTicks;
}

/** Some senders of an older term must learn of ours, or they would be stuck. */
function answerOlder(state: RaftState, message: Message): void {
  const { id, term, outbox } = state;
  const to = message.from;
  switch (message.kind) {
    case "append":
    case "heartbeat":
    case "snapshot":
      // This node is ahead and hears no leader of its term: the old leader has to stand down so that one election
      // brings everybody together. With pre-votes this node could neither win nor rejoin otherwise.
      outbox.sendAfterSync({
        kind: "append_reply",
        from: id,
        to,
        term,
        index: 0,
        rejected: true,
        hintIndex: 0,
        hintTerm: 0,
      });
      return;
    case "vote":
      if (message.preVote) {
        outbox.sendAfterSync({ kind: "vote_reply", from: id, to, term, preVote: true, granted: false });
      }
      return;
    case "read_index":
      outbox.sendNow({
        kind: "read_index_reply",
        from: id,
        to,
        term,
        context: message.context,
        index: 0,
        rejected: true,
      });
  }
}

/** Learners vote when asked: the one who asks may know of a promotion this node has not heard of. */
export function onVote(state: RaftState, message: VoteMessage): void {
  const free = state.vote === message.from ||
    (state.vote === 0 && state.leaderId === 0) ||
    (message.preVote && message.term > state.term);
  const granted = free && !state.promise.isBinding && isUpToDate(state, message);
  if (granted && !message.preVote) {
    state.vote = message.from;
    state.electionElapsed = 0;
  }
  state.outbox.sendAfterSync({
    kind: "vote_reply",
    from: state.id,
    to: message.from,
    // A grant belongs to the term asked for, or the candidate would take it for an old one.
    term: granted ? message.term : state.term,
    preVote: message.preVote,
    granted,
  });
}

/** Paper, 5.4.1: the later last term wins, then the longer log. */
function isUpToDate(state: RaftState, message: VoteMessage): boolean {
  const { lastTerm, lastIndex } = state.log;
  return message.lastTerm > lastTerm || (message.lastTerm === lastTerm && message.lastIndex >= lastIndex);
}

/**
 * A message only a leader sends, of the present term. Returns false when it must be ignored: two leaders of one term
 * mean that a node id is used twice.
 */
export function acceptLeader(state: RaftState, from: number): boolean {
  const other = state.role === "leader" ? state.id : state.leaderId;
  if (other !== 0 && other !== from) {
    state.outbox.event("two_leaders", { term: state.term, leader: other, other: from });
    return false;
  }
  if (state.role !== "follower" || state.leaderId !== from) state.becomeFollower(state.term, from);
  state.electionElapsed = 0;
  return true;
}
