/** How often what happens to a cluster of cores; see raft_cluster.ts. */

/** Probabilities per step, out of their sum. */
export interface Faults {
  readonly tick: number;
  readonly deliver: number;
  readonly drop: number;
  readonly duplicate: number;
  readonly sync: number;
  readonly propose: number;
  readonly read: number;
  readonly crash: number;
  readonly restart: number;
  readonly cut: number;
  readonly heal: number;
  readonly change: number;
  readonly transfer: number;
  readonly compact: number;
  readonly snapshot: number;
  readonly hint: number;
}

export const MIXED_FAULTS: Faults = {
  tick: 300,
  deliver: 900,
  drop: 25,
  duplicate: 15,
  sync: 350,
  propose: 120,
  read: 40,
  crash: 5,
  restart: 12,
  cut: 5,
  heal: 5,
  change: 12,
  transfer: 4,
  compact: 10,
  snapshot: 30,
  hint: 6,
};

/** Leaders come and go all the time, members and logs stay as they are: old leaders, old tails, old answers. */
export const CHURN_FAULTS: Faults = {
  ...MIXED_FAULTS,
  tick: 700,
  propose: 60,
  read: 80,
  crash: 10,
  restart: 45,
  cut: 16,
  heal: 12,
  change: 0,
  compact: 2,
  hint: 12,
};
