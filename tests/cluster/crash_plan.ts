/** What happens to the nodes in each round, drawn from a seed. */
import type { SeededRandom } from "../support/seeded_random.ts";

/**
 * - `leader`, `follower`: that node is killed.
 * - `two`, `all`: so many at the same moment.
 * - `starting`: a node is killed, and again while it starts, up to three times.
 * - `voter`: the leader is killed, then the node that first writes a vote for the next one.
 * - `away`: a follower misses so much that it has to be brought up to date; meanwhile it or the leader is killed.
 * - `frozen`: the leader is stopped (SIGSTOP) until another one serves, then killed or woken up.
 */
export type FaultKind = "leader" | "follower" | "two" | "all" | "starting" | "voter" | "away" | "frozen";

export interface RoundPlan {
  readonly kind: FaultKind;
  /** The load goes on for so many acknowledged writes before the fault. */
  readonly writesBefore: number;
  /** And then so long, so that the kill does not always follow an answer. */
  readonly delayMs: number;
  /** The fault waits for a node to change its `.db` files: a checkpoint is under way. */
  readonly atCheckpoint: boolean;
  /** How long the node stays away: not at all, until the others serve, or `downMs`. */
  readonly restart: "at_once" | "after_failover" | "after_pause";
  readonly downMs: number;
  /** Pauses between start and kill for `starting` and `away`. */
  readonly startingMs: readonly number[];
  /** Which of the nodes or ways, where there is a choice. */
  readonly choice: number;
  /** The next round waits until all nodes are up to date; otherwise it comes as soon as writes are acknowledged. */
  readonly waitsForAll: boolean;
}

const KINDS: readonly (readonly [FaultKind, number])[] = [
  ["leader", 40],
  ["follower", 13],
  ["two", 10],
  ["all", 9],
  ["starting", 10],
  ["voter", 6],
  ["away", 6],
  ["frozen", 6],
];
/** From the start of the process to a node that serves. */
const STARTING_MS_MAX = 450;

function drawKind(random: SeededRandom): FaultKind {
  let left = random.next() * KINDS.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [kind, weight] of KINDS) {
    left -= weight;
    if (left < 0) return kind;
  }
  return "leader";
}

export function drawRound(random: SeededRandom): RoundPlan {
  return {
    kind: drawKind(random),
    writesBefore: random.chance(0.2) ? 0 : random.integer(1, 60),
    delayMs: random.next() * 20,
    atCheckpoint: random.chance(0.15),
    restart: random.pick(["at_once", "after_failover", "after_failover", "after_pause"] as const),
    downMs: random.next() * 250,
    startingMs: Array.from({ length: random.integer(1, 3) }, () => random.next() * STARTING_MS_MAX),
    choice: random.word(),
    waitsForAll: random.chance(0.35),
  };
}
