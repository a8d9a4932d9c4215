import { NodeError } from "../base/errors.ts";
import type { LogIndex, NodeId } from "../base/ids.ts";
import type { Clock, Disk, EventSink } from "../base/ports.ts";
import type { HardStateFile } from "../log/hard_state.ts";
import type { Log } from "../log/log.ts";
import type { Database } from "../pages/database.ts";
import type { PageStore } from "../pages/page_store.ts";
import type { SnapshotMetadata } from "../raft/message.ts";
import type { SqlPool } from "../sql/pool.ts";
import { type Checkpoints, readCheckpoints } from "./checkpoints.ts";
import type { Driver } from "./driver.ts";
import type { PeerMethods } from "./peer_calls.ts";
import type { Retention } from "./retention.ts";
import { SnapshotFetch, type SnapshotMethod } from "./snapshot_fetch.ts";
import { type Manifest, placeSnapshot, removeManifest, writeManifest } from "./snapshot_files.ts";
import type { SnapshotDatabase } from "./snapshot_source.ts";
import type { ViewPages, ViewReader } from "./view_pages.ts";

export interface SnapshotInstallOptions {
  readonly nodeId: NodeId;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly events: EventSink;
  readonly driver: Driver;
  readonly log: Log;
  readonly hardState: HardStateFile;
  readonly store: PageStore;
  readonly pool: SqlPool;
  readonly reader: ViewReader;
  readonly checkpoints: Checkpoints;
  readonly retention: Retention;
  readonly call: <M extends SnapshotMethod>(
    to: NodeId,
    method: M,
    request: PeerMethods[M]["request"],
  ) => Promise<PeerMethods[M]["answer"]>;
  readonly onPublished: (index: LogIndex) => void;
  readonly onFatal: (error: Error) => void;
}

const ATTEMPTS_MAX = 20;
const ATTEMPT_PAUSE_MS = 200;

/**
 * A member whose entries are gone from the leader's log: fetches the databases beside what it has, then changes over in
 * one step. Until then it goes on serving its old state.
 */
export class SnapshotInstall {
  readonly #options: SnapshotInstallOptions;
  #fetching = false;
  #isSettling = false;
  #isChangingOver = false;
  #stopped = false;
  count = 0;

  constructor(options: SnapshotInstallOptions) {
    this.#options = options;
  }

  /** Log and files are about to be replaced: whoever changes them has to wait. */
  get isSettling(): boolean {
    return this.#isSettling;
  }

  /** The databases are being replaced at this moment: nothing can be read. */
  get isChangingOver(): boolean {
    return this.#isChangingOver;
  }

  /** Raft asks for the state at this index or a later one. */
  begin(snapshot: SnapshotMetadata): void {
    if (this.#fetching || this.#stopped) return;
    this.#fetching = true;
    this.#run(snapshot).catch((error) => {
      this.#options.onFatal(error instanceof Error ? error : new Error(String(error)));
    }).finally(() => {
      this.#fetching = false;
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(snapshot: SnapshotMetadata): Promise<void> {
    const { driver, events } = this.#options;
    const leader = driver.leader;
    for (let attempt = 1; !this.#stopped && driver.leader === leader && leader !== 0; attempt++) {
      try {
        const manifest = await this.#fetch(leader, snapshot.index);
        if (this.#stopped) return;
        return await this.#changeOver(manifest);
      } catch (error) {
        if (!(error instanceof NodeError) || this.#isChangingOver) throw error;
        events.event("snapshot_attempt_failed", { attempt, reason: error.message });
        if (attempt === ATTEMPTS_MAX) break;
      }
      await new Promise<void>((resolve) => void this.#options.clock.after(ATTEMPT_PAUSE_MS, resolve));
    }
    driver.raft.snapshotFailed();
    driver.schedule();
  }

  #fetch(leader: NodeId, atLeast: LogIndex): Promise<Manifest> {
    const { disk, events, call, nodeId } = this.#options;
    const snapshot = new SnapshotFetch({
      disk,
      events,
      member: nodeId,
      call: (method, request) => call(leader, method, request),
      isCurrent: (database) => this.#isCurrent(database),
      ownPages: (database) => this.#ownPages(database),
    });
    return snapshot.fetch(atLeast, false);
  }

  #own({ id }: SnapshotDatabase): Database | undefined {
    const database = this.#options.store.get(id);
    return database?.published === 0 ? undefined : database;
  }

  /** The log of this node goes, so what is only there has to be in the `.db` file. */
  async #isCurrent(database: SnapshotDatabase): Promise<boolean> {
    const own = this.#own(database);
    if (own === undefined || own.published !== database.index) return false;
    return await this.#options.checkpoints.now(own);
  }

  #ownPages(database: SnapshotDatabase): ViewPages | undefined {
    const own = this.#own(database);
    if (own === undefined) return undefined;
    const view = own.openView();
    const pages = this.#options.reader.open(view);
    return {
      pageCount: pages.pageCount,
      read: (first, into) => pages.read(first, into),
      close: () => {
        pages.close();
        view.close();
      },
    };
  }

  async #changeOver(manifest: Manifest): Promise<void> {
    const { driver, checkpoints, retention } = this.#options;
    // From here on nothing is cut from the log and nothing is copied any more.
    this.#isSettling = true;
    await checkpoints.alone(async () => {
      await retention.stop();
      await driver.suspend();
      if (!this.#stopped && !this.#holds(manifest.metadata)) await this.#put(manifest);
      else driver.raft.snapshotFailed();
    });
    this.#isSettling = false;
    driver.resume();
  }

  /**
   * The entry was appended meanwhile, by another leader: then the log goes on by itself. A log that is longer but has
   * another entry there goes: nothing of it from there on was ever committed (paper, section 7).
   */
  #holds({ index, term }: SnapshotMetadata): boolean {
    const { log, store } = this.#options;
    return store.publishedIndex >= index || log.termAt(index) === term;
  }

  /** From the manifest on there is no way back: what fails after it is completed at the next start. */
  async #put(manifest: Manifest): Promise<void> {
    const { disk, driver, log, hardState, store, pool, onPublished, events } = this.#options;
    const { metadata } = manifest;
    this.#isChangingOver = true;
    await writeManifest(disk, manifest);
    pool.forgetDatabases();
    await placeSnapshot(disk, hardState, manifest);
    log.restart(metadata);
    await log.sync();
    store.install(readCheckpoints(disk), manifest.catalog);
    await removeManifest(disk);
    this.#isChangingOver = false;
    this.count++;
    events.event("snapshot_installed", { index: metadata.index, databases: manifest.staged.length });
    driver.raft.snapshotInstalled(metadata);
    onPublished(metadata.index);
  }
}
