import type { Milliseconds } from "../../core/base/ids.ts";
import type { NodeTuning } from "../support/node_cluster.ts";
import type { SeededRandom } from "../support/seeded_random.ts";

const KIB = 1024;

/** What can go wrong in a step, with its weight in this run; 0: never. */
export const FAULTS = [
  "crash",
  "crash_at_operation",
  "crash_all",
  "isolate",
  "pause",
  "cut_one_way",
  "drop",
  "delay",
  "duplicate",
  "slow_disk",
  "stalled_disk",
  "sync_failure",
  "disk_full",
  "bit_rot",
  "misdirected_write",
  "lost_write",
  "clock_jump",
  "transfer",
  "wipe",
  "add_member",
  "remove_member",
  "change_role",
] as const;
export type Fault = (typeof FAULTS)[number];

export const OPERATIONS = [
  "put",
  "get",
  "append",
  "list",
  "read_own",
  "once",
  "group",
  "shrink",
  "checkpoint",
  "backup",
  "as_of",
  "read_here",
  "page",
  "drop_and_create",
  "restore",
  "transaction",
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** Disks that lose what they had called durable. */
const SPOILING = ["bit_rot", "misdirected_write", "lost_write"] as const satisfies readonly Fault[];

/** One run, drawn from its seed: every run has another mix, because bugs hide behind mixes (swarm testing). */
export interface Plan {
  readonly machines: number;
  /** Steps of the clock under faults. */
  readonly steps: number;
  /** Chance of a fault in a step. */
  readonly faultChance: number;
  readonly faults: Readonly<Record<Fault, number>>;
  /** Chance that a client begins an operation in a step. */
  readonly operationChance: number;
  readonly operations: Readonly<Record<Operation, number>>;
  /** Operations that may be under way at once. */
  readonly concurrency: number;
  readonly keys: number;
  readonly downMsMax: Milliseconds;
  readonly tuning: NodeTuning;
  /** Leader leases; 0: off. */
  readonly leaseMs: Milliseconds;
  /** Chance that a machine loses power right after it granted a vote: the worst moment, and a rare one by itself. */
  readonly crashAfterVoteChance: number;
  /** A larger transaction takes several entries: of one page, of a few, or hardly ever. */
  readonly entryBytesMax: number;
}

/** What a plan leaves out never happens in its run; about half is left out. */
function drawWeights<K extends string>(random: SeededRandom, names: readonly K[]): Record<K, number> {
  const weights = {} as Record<K, number>;
  for (const name of names) weights[name] = random.chance(0.45) ? random.integer(1, 10) : 0;
  return weights;
}

export function drawPlan(random: SeededRandom): Plan {
  const machines = random.pick([1, 3, 3, 3, 3, 3, 5]);
  const earlierFaults = FAULTS.filter((name) => name !== "change_role");
  const faults: Record<Fault, number> = { ...drawWeights(random, earlierFaults), change_role: 0 };
  // Slow or rare by nature: a run has few of them or none.
  const rare = ["crash_all", "wipe", "add_member", "remove_member", "disk_full", ...SPOILING] as const;
  for (const fault of rare) faults[fault] = Math.min(faults[fault], 2);
  if (machines === 1) {
    for (const fault of ["wipe", "add_member", "remove_member", "disk_full", ...SPOILING] as const) {
      faults[fault] = 0;
    }
  }
  // Together they take more disks than a majority can spare.
  if (spoilsDisks(faults)) faults.wipe = 0;
  const earlier = OPERATIONS.filter((name) => name !== "transaction");
  const operations: Record<Operation, number> = { ...drawWeights(random, earlier), transaction: 0 };
  operations.put += 4;
  operations.get += 3;
  operations.append += 4;
  operations.list += 2;
  const plan: Omit<Plan, "leaseMs"> = {
    machines,
    steps: random.integer(400, 1_200),
    faultChance: random.pick([0, 0.01, 0.02, 0.05]),
    faults,
    operationChance: random.pick([0.1, 0.3, 0.6]),
    operations,
    concurrency: random.pick([2, 6, 20]),
    keys: random.pick([1, 2, 5]),
    downMsMax: random.pick([50, 500, 3_000]),
    tuning: {
      checkpointBytes: random.pick([16 * KIB, 64 * KIB, 512 * KIB]),
      checkpointAgeMs: random.pick([500, 3_000, 60_000]),
      appendBytesMax: random.pick([1, 16 * KIB, 1_024 * KIB]),
      retainMs: random.pick([0, 0, 0, 1_000, 10_000]),
      logBytesMax: random.pick([512 * KIB, 2_048 * KIB, 64 * 1_024 * KIB]),
    },
    // Drawn last, as whatever is added later: older seeds keep the rest of their plan.
    entryBytesMax: random.pick([1, 1, 16 * KIB, 512 * KIB]),
    crashAfterVoteChance: random.pick([0, 0, 0, 0.5]),
  };
  Object.assign(operations, drawWeights(random, ["transaction"]));
  // Fewer members have a copy then: none to spare for disks that spoil.
  const roles = drawWeights(random, ["change_role"]);
  if (machines > 1 && !spoilsDisks(faults)) Object.assign(faults, roles);
  return { ...plan, leaseMs: random.pick([0, 0, 0, 100, 250]) };
}

/** Whether a disk may lose what it had called durable. */
export function spoilsDisks(faults: Plan["faults"]): boolean {
  return SPOILING.some((fault) => faults[fault] > 0);
}

/** A name, as often as its weight says; undefined when none has any. */
export function draw<K extends string>(
  random: SeededRandom,
  weights: Readonly<Record<K, number>>,
): K | undefined {
  const names = Object.keys(weights) as K[];
  const sum = names.reduce((total, name) => total + weights[name], 0);
  if (sum === 0) return undefined;
  let at = random.next() * sum;
  for (const name of names) {
    at -= weights[name];
    if (at < 0) return name;
  }
  return names.at(-1);
}
