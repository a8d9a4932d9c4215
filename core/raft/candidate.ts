/** Campaigns: the pre-vote and the vote (paper, 5.2; thesis, 9.6). */
import type { NodeId, Term } from "../base/ids.ts";
import { Leader } from "./leader.ts";
import type { VoteReply } from "./message.ts";
import { voteOutcome } from "./quorum.ts";
import type { RaftState } from "./state.ts";

export type Campaign =
  /** Asks whether an election could be won; changes nothing here or there. */
  | "pre_vote"
  | "vote"
  /** A vote on behalf of the leader, which hands over: nobody refuses because the leader is alive. */
  | "transfer";

/** The votes of one campaign. */
export interface Candidacy {
  readonly campaign: Campaign;
  /** The term the votes are for. */
  readonly term: Term;
  readonly votes: Map<NodeId, boolean>;
}

export function startCampaign(state: RaftState, campaign: Campaign): void {
  const preVote = campaign === "pre_vote";
  const term = state.term + 1;
  state.setLeader(0);
  state.electionElapsed = 0;
  state.redrawTimeout();
  state.candidacy = { campaign, term, votes: new Map() };
  if (preVote) {
    state.role = "pre_candidate";
    // Costs no promise, so it need not reach the disk. The vote proper is counted in `onPersisted`.
    state.candidacy.votes.set(state.id, true);
  } else {
    state.role = "candidate";
    state.raiseTerm(term);
    state.vote = state.id;
  }
  state.outbox.event("campaign_started", { term, campaign });
  askForVotes(state, state.candidacy);
  countVotes(state);
}

function askForVotes(state: RaftState, candidacy: Candidacy): void {
  const { voters, votersOutgoing } = state.membership;
  const preVote = candidacy.campaign === "pre_vote";
  const asked = [...new Set([...voters, ...votersOutgoing])].sort((a, b) => a - b);
  for (const to of asked) {
    if (to === state.id || candidacy.votes.has(to)) continue;
    const message = {
      kind: "vote",
      from: state.id,
      to,
      term: candidacy.term,
      preVote,
      lastIndex: state.log.lastIndex,
      lastTerm: state.log.lastTerm,
      transfer: candidacy.campaign === "transfer",
    } as const;
    // A candidate that asked, won and crashed before its own term was on disk could win the same term once more
    // with another log. So the question waits for the disk, too.
    if (preVote) state.outbox.sendNow(message);
    else state.outbox.sendAfterSync(message);
  }
}

/** Who is bound by a promise says nothing, and may be free by now: with leases a pre-vote is asked for again. */
export function askAgain(state: RaftState): void {
  const { candidacy, options } = state;
  if (candidacy?.campaign === "pre_vote" && options.lease !== undefined && options.lease.ms > 0) {
    askForVotes(state, candidacy);
  }
}

export function onVoteReply(state: RaftState, message: VoteReply): void {
  const candidacy = state.candidacy;
  if (candidacy === undefined || message.preVote !== (candidacy.campaign === "pre_vote")) return;
  // A grant names the term asked for; a refusal of a pre-vote has the term of the one who refuses.
  if (message.granted && message.term !== candidacy.term) return;
  if (!candidacy.votes.has(message.from)) candidacy.votes.set(message.from, message.granted);
  countVotes(state);
}

/** The own vote counts once it is on disk, like anybody's. */
export function onVotePersisted(state: RaftState): void {
  const { candidacy, durability } = state;
  if (candidacy === undefined || candidacy.campaign === "pre_vote") return;
  if (durability.durableTerm !== candidacy.term || durability.durableVote !== state.id) return;
  if (candidacy.votes.has(state.id)) return;
  candidacy.votes.set(state.id, true);
  countVotes(state);
}

function countVotes(state: RaftState): void {
  const candidacy = state.candidacy;
  if (candidacy === undefined) return;
  const outcome = voteOutcome(state.membership, (id) => candidacy.votes.get(id));
  if (outcome === "open") return;
  if (outcome === "lost") state.becomeFollower(state.term, 0);
  else if (candidacy.campaign === "pre_vote") startCampaign(state, "vote");
  else Leader.start(state);
}
