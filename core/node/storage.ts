import type { LogIndex, LogPosition, NodeId } from "../base/ids.ts";
import type { Database } from "../pages/database.ts";
import type { SqlPool } from "../sql/pool.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { Driver } from "./driver.ts";
import type { NodeParts } from "./node_parts.ts";
import type { PeerMethods } from "./peer_calls.ts";
import { Repair, type RepairMethod } from "./repair.ts";
import { Scrubber } from "./scrubber.ts";
import { Retention } from "./retention.ts";
import type { SnapshotMethod } from "./snapshot_fetch.ts";
import { SnapshotInstall } from "./snapshot_install.ts";
import { SnapshotSource } from "./snapshot_source.ts";
import { ViewReader } from "./view_pages.ts";

export interface StorageOptions {
  readonly parts: NodeParts;
  readonly driver: Driver;
  readonly pool: SqlPool;
  readonly writersNeedFrom: () => LogPosition;
  readonly onCheckpoint: (database: Database) => void;
  readonly callMember: <M extends SnapshotMethod | RepairMethod>(
    to: NodeId,
    method: M,
    request: PeerMethods[M]["request"],
  ) => Promise<PeerMethods[M]["answer"]>;
  readonly onPublished: (index: LogIndex) => void;
  readonly onFatal: (error: Error) => void;
}

/** What keeps the log short and the `.db` files whole: checkpoints, retention, and snapshots in both directions. */
export class Storage {
  readonly checkpoints: Checkpoints;
  readonly retention: Retention;
  readonly reader: ViewReader;
  readonly snapshots: SnapshotSource;
  readonly install: SnapshotInstall;
  readonly repair: Repair;
  readonly scrubber: Scrubber;

  constructor(options: StorageOptions) {
    const { parts, driver, pool, onFatal } = options;
    const { disk, log } = parts;
    const reader = this.reader = new ViewReader(
      disk,
      log,
      pool,
      (databaseId, damage) => this.repair.page(databaseId, damage),
    );
    const checkpoints = this.checkpoints = new Checkpoints({
      ...parts,
      pool,
      onDone: options.onCheckpoint,
      onFatal,
    });
    this.snapshots = new SnapshotSource({ ...parts, driver, reader });
    const retention = this.retention = new Retention({
      ...parts,
      checkpoints,
      snapshotIndexFor: (member) => this.snapshots.indexFor(member),
      writersNeedFrom: options.writersNeedFrom,
      onFatal,
    });
    this.install = new SnapshotInstall({
      ...parts,
      driver,
      pool,
      reader,
      checkpoints,
      retention,
      call: options.callMember,
      onPublished: options.onPublished,
      onFatal,
    });
    const repair = this.repair = new Repair({
      ...parts,
      checkpoints,
      otherMembers: () =>
        parts.raft.membership.members.map(({ id }) => id).filter((id) => id !== parts.nodeId),
      call: options.callMember,
      onRepaired: (database) => {
        pool.reopenForReaders(database.id);
        options.onCheckpoint(database);
      },
      onFatal,
    });
    this.scrubber = new Scrubber({ ...parts, repair, isCopying: () => checkpoints.isCopying });
  }

  /** Called with every tick. */
  sweep(): void {
    if (this.install.isSettling) return;
    this.retention.sweep();
    this.checkpoints.sweep();
    this.snapshots.sweep();
    this.scrubber.sweep();
  }

  /** Before the last checkpoint: what could come in its way ends. */
  async stop(): Promise<void> {
    this.install.stop();
    this.snapshots.stop();
    await this.retention.stop();
  }

  close(): void {
    this.reader.close();
  }
}
