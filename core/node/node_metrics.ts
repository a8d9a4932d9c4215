import type { LogIndex, Milliseconds, Term } from "../base/ids.ts";
import type { PeerTraffic } from "../base/ports.ts";
import type { Log } from "../log/log.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { Membership } from "../raft/membership.ts";
import type { SqlPool } from "../sql/pool.ts";
import type { Metric } from "./service.ts";
import type { Storage } from "./storage.ts";
import type { StageTotals } from "./write_stages.ts";

interface Measured {
  readonly isLeader: boolean;
  readonly term: Term;
  readonly tip: LogIndex;
  readonly store: PageStore;
  readonly log: Log;
  readonly isDiskFull: boolean;
  readonly membership: Membership;
  readonly pool: SqlPool;
  readonly waitingWrites: number;
  readonly storage: Storage;
  readonly leaderAgeMs: Milliseconds;
  readonly leaseLeftMs: Milliseconds;
  readonly leaseReads: number;
  readonly stages: StageTotals;
  readonly traffic: PeerTraffic;
}

/** README.md says where the stages begin and end; `net/http/metrics.ts` has the first and the last of them. */
const STAGES: readonly (readonly [name: string, total: keyof StageTotals, help: string])[] = [
  ["queue", "queueMs", "in the queue of their database until their batch starts"],
  ["sqlite", "sqliteMs", "their batch at the writer worker, the way there and back included"],
  ["sqlite_worker", "workerMs", "their batch in the writer worker; a part of sqlite"],
  ["log", "logMs", "from the results of the batch until it is in the file of the log"],
  ["fsync", "fsyncMs", "from there until this node's own sync, or a majority without it, made it durable"],
  ["network", "networkMs", "from there until a majority has it"],
];

const gauge = (name: string, help: string, value: number): Metric => ({ name, kind: "gauge", help, value });
const counter = (name: string, help: string, value: number): Metric => ({
  name,
  kind: "counter",
  help,
  value,
});

/** What the node tells Prometheus about itself; `net/http/metrics.ts` adds its requests and writes the text. */
export function nodeMetrics(node: Measured): Metric[] {
  return [
    gauge("is_leader", "1 when this node leads, else 0", node.isLeader ? 1 : 0),
    gauge("raft_term", "Raft term", node.term),
    gauge("log_tip_index", "Last index in this node's log", node.tip),
    gauge("log_first_index", "First index in this node's log", node.log.firstIndex()),
    gauge("log_synced_index", "Last index that is durable on this node", node.log.syncedIndex),
    gauge("log_bytes", "Size of the log on disk", node.log.bytes),
    gauge(
      "disk_full",
      "1 while new writes are refused because the disk has no room",
      node.isDiskFull ? 1 : 0,
    ),
    gauge("commit_index", "Last published index", node.store.publishedIndex),
    gauge("voters", "Voting members", node.membership.voters.length),
    gauge("learners", "Members that do not vote yet", node.membership.learners.length),
    gauge("stand_bys", "Members that stay without a vote", node.membership.standBys.length),
    gauge("spares", "Members that receive nothing", node.membership.spares.length),
    gauge("databases", "Databases", node.store.databaseCount),
    gauge("waiting_writes", "Writes that wait to run or to be committed", node.waitingWrites),
    gauge(
      "leader_age_seconds",
      "Time since a leader was heard; 0 on the leader",
      Math.min(node.leaderAgeMs / 1_000, 1e9),
    ),
    gauge(
      "lease_seconds",
      "What is left of the lease of this node as the leader; 0 when there is none",
      Math.min(node.leaseLeftMs / 1_000, 1e9),
    ),
    counter(
      "lease_reads_total",
      "Linearizable reads answered under a lease, without a round",
      node.leaseReads,
    ),
    counter("log_bytes_total", "Bytes written to the log since the start", node.log.writtenBytes),
    counter("log_syncs_total", "Syncs of the log since the start", node.log.syncCount),
    counter("checkpoints_total", "Checkpoints since the start", node.storage.checkpoints.count),
    counter("log_trims_total", "Times the log was shortened at its front", node.storage.retention.trimCount),
    counter(
      "snapshots_installed_total",
      "Times this node took whole databases from the leader",
      node.storage.install.count,
    ),
    counter("scrubbed_bytes_total", "Bytes the scrubber has checked", node.storage.scrubber.checkedBytes),
    counter(
      "damage_repaired_total",
      "Damaged pages and entries brought back",
      node.storage.repair.repairedCount,
    ),
    counter(
      "damage_not_repaired_total",
      "Attempts to repair that found no member to help",
      node.storage.repair.failedCount,
    ),
    ...poolMetrics(node.pool),
    counter("peer_sent_bytes_total", "Bytes sent to other members", node.traffic.sentBytes),
    counter("peer_received_bytes_total", "Bytes received from other members", node.traffic.receivedBytes),
    counter(
      "writes_total",
      "Writes committed while this node led, of which the stages are told",
      node.stages.writes,
    ),
    ...STAGES.map(([name, total, help]) =>
      counter(`write_${name}_seconds_total`, `Time of writes: ${help}`, node.stages[total] / 1_000)
    ),
  ];
}

function poolMetrics(pool: Measured["pool"]): Metric[] {
  return [
    gauge("waiting_reads", "Queries that wait for a reader", pool.waitingReadCount),
    counter("short_reads_total", "Queries run on the main thread", pool.shortReadCount),
    counter("short_writes_total", "Writes run on the main thread", pool.shortWriteCount),
    counter("sql_workers_replaced_total", "SQL workers that died or hung", pool.replacedWorkerCount),
  ];
}
