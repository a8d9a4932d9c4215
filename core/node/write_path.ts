import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex, LogPosition, Milliseconds, Term } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, EndOfTurn } from "../base/ports.ts";
import type { Log } from "../log/log.ts";
import type { Database } from "../pages/database.ts";
import { decodeEntryBody, encodeActivate, encodeCreate, encodeDrop } from "../pages/entry_body.ts";
import type { AppendedTransaction, PageStore } from "../pages/page_store.ts";
import type { TransactionResults, WriteResults } from "../sql/messages.ts";
import type { SqlPool } from "../sql/pool.ts";
import { CommitNews } from "./commit_news.ts";
import { CommitWaiters } from "./commit_waiters.ts";
import { mustBeName } from "./database_name.ts";
import { DatabaseWriter } from "./database_writer.ts";
import type { Driver } from "./driver.ts";
import type { ReadGate } from "./read_gate.ts";
import { requestSize } from "./request_size.ts";
import type { Transaction, WriteAnswer, WriteRequest } from "./service.ts";
import { WriteStages } from "./write_stages.ts";
import type { PendingWrite, WriteCommitted, WriterHost } from "./writer_host.ts";

export interface WritePathOptions {
  readonly driver: Driver;
  readonly gate: Pick<ReadGate, "confirm">;
  readonly store: PageStore;
  readonly log: Log;
  readonly pool: SqlPool;
  readonly clock: Clock;
  readonly endOfTurn: EndOfTurn;
  /** The first write to an unknown name creates the database. */
  readonly createDatabases: boolean;
}

/** Page size of new databases: SQLite's default. */
const PAGE_SIZE_DEFAULT = 4_096;
/** Writer sessions kept open; each is a SQLite instance of about 1.5 MB and its page cache. */
const WRITERS_OPEN_MAX = 64;

/** Everything that adds to the log, on the leader. On any other node each call throws `not_leader`. */
export class WritePath {
  readonly stages: WriteStages;
  readonly #options: WritePathOptions;
  readonly #host: WriterHost;
  readonly #waiters = new CommitWaiters();
  readonly #news: CommitNews;
  /** Least recently used first. */
  readonly #writers = new Map<DatabaseId, DatabaseWriter>();
  #batchNumber = 0;
  #isStopped = false;

  constructor(options: WritePathOptions) {
    this.#options = options;
    const { pool, clock, driver } = options;
    this.#news = new CommitNews(clock, () => {
      driver.raft.greet();
      driver.schedule();
    });
    this.stages = new WriteStages(() => clock.nowMs());
    this.#host = {
      stages: this.stages,
      nowMs: () => clock.nowMs(),
      endOfTurn: options.endOfTurn,
      nextBatchNumber: () => ++this.#batchNumber,
      placeSession: (database, requests) => pool.placeWriter(database.id, requests),
      isSessionHere: (database) => pool.isWriterHere(database.id),
      tellSession: (update) => pool.updateWriter(update),
      send: (message) => pool.write(message),
      sendStep: (message) => pool.transaction(message),
      refusalToOpen: () => {
        driver.run();
        return options.log.lastIndex() < driver.raft.lastIndex ? diskFull() : undefined;
      },
      baseOf: (database) => {
        // What was proposed in this turn has to be in the log first, or the session would miss it.
        options.driver.run();
        return pool.writerBase(database);
      },
      closeSession: (database) => pool.closeWriter(database.id),
      propose: (body) => this.#propose(body),
      tip: () => this.#tip(),
      committed: (at, deadlineMs) => this.#committed(at, deadlineMs),
      confirmed: (at, deadlineMs) => this.#confirmed(at, deadlineMs),
      mayPropose: () => options.driver.raft.uncommittedBytes < LIMITS.uncommittedBytesMax / 2,
    };
  }

  get waitingCount(): number {
    let count = this.#waiters.size;
    for (const writer of this.#writers.values()) count += writer.pendingCount;
    return count;
  }

  /** @param isPassedOn by another member, for whose clock the moment of the commit means nothing */
  async write(request: WriteRequest, deadlineMs: Milliseconds, isPassedOn: boolean): Promise<WriteAnswer> {
    const queuedMs = this.#options.clock.nowMs();
    this.#mustLead();
    // No waiting between finding the database and queuing the write: it could be dropped meanwhile.
    const database = this.#databaseFor(request.database) ??
      await this.#notFound(request.database, deadlineMs);
    const { result, index, committedMs } = await new Promise<WriteCommitted>((resolve, reject) => {
      const bytes = requestSize(request);
      const write: PendingWrite = { request, bytes, deadlineMs, queuedMs, resolve, reject };
      this.#writerFor(database).add(write);
    });
    return { ...result, index, committedMs: isPassedOn ? undefined : committedMs };
  }

  /**
   * Resolves when the transaction has its turn. Nobody passes it on: a third node in between could hold the writer of a
   * database for longer than its owner is there.
   */
  async beginTransaction(name: string, deadlineMs: Milliseconds): Promise<Transaction> {
    if (this.#isStopped) throw stopping();
    this.#mustLead();
    mustBeName(name);
    const database = this.#databaseFor(name) ?? await this.#notFound(name, deadlineMs);
    return await new Promise((resolve, reject) =>
      this.#writerFor(database).add({ deadlineMs, resolve, reject })
    );
  }

  async createDatabase(
    name: string,
    mustBeNew: boolean,
    deadlineMs: Milliseconds,
  ): Promise<{ index: LogIndex; created: boolean }> {
    this.#mustLead();
    const existing = this.#options.store.findAtTip(name);
    if (existing !== undefined) {
      const index = await this.#confirmed(this.#tip(), deadlineMs);
      if (mustBeNew) throw new NodeError("database_exists", `Cannot create database ${name}: it exists`);
      return { index, created: false };
    }
    const database = this.#create(name, false, PAGE_SIZE_DEFAULT);
    const index = await this.#committed({ index: database.id, term: this.#options.driver.term }, deadlineMs);
    return { index, created: true };
  }

  async dropDatabase(name: string, deadlineMs: Milliseconds): Promise<{ index: LogIndex }> {
    this.#mustLead();
    const database = this.#options.store.findAtTip(name);
    if (database === undefined) return await this.#notFound(name, deadlineMs);
    const proposed = this.#proposeDrop(database.id);
    // Into the log at once: no write may follow the drop and be acknowledged.
    this.#options.driver.run();
    this.#closeWriter(database, new NodeError("database_not_found", `Database ${name} was dropped`));
    return { index: await this.#committed(proposed, deadlineMs) };
  }

  /** Begins a database that nobody sees until `finishImport`. */
  async beginImport(name: string, pageSize: number, deadlineMs: Milliseconds): Promise<DatabaseId> {
    this.#mustLead();
    const database = this.#create(name, true, pageSize);
    return await this.#committed({ index: database.id, term: this.#options.driver.term }, deadlineMs);
  }

  /** Adds pages to it: a body made by `encodePages`. */
  async importPages(databaseId: DatabaseId, body: Uint8Array, deadlineMs: Milliseconds): Promise<LogIndex> {
    this.#mustLead();
    // What came before is in the log then, so that the order can be checked.
    this.#options.driver.run();
    const database = this.#stagedOrThrow(databaseId);
    const pages = decodeEntryBody(body);
    const follows = pages.kind === "pages" && pages.databaseId === databaseId &&
      pages.pageNumbers[0] === database.tipPageCount + 1;
    if (!follows) {
      throw new NodeError(
        "timeout",
        `Pages of upload ${databaseId} do not follow page ${database.tipPageCount}: a part was lost; start over`,
      );
    }
    return await this.#committed(this.#propose(body), deadlineMs);
  }

  /** Makes it visible in one step; a database that had the name is gone from here on. */
  async finishImport(databaseId: DatabaseId, deadlineMs: Milliseconds): Promise<LogIndex> {
    this.#mustLead();
    const database = this.#stagedOrThrow(databaseId);
    const replaced = this.#options.store.findAtTip(database.name);
    const proposed = this.#propose(encodeActivate({ databaseId, wallMs: this.#options.clock.wallMs() }));
    this.#options.driver.run();
    if (replaced !== undefined) {
      const error = new NodeError(
        "timeout",
        `Database ${database.name} was replaced by an upload; try again`,
      );
      this.#closeWriter(replaced, error);
    }
    return await this.#committed(proposed, deadlineMs);
  }

  async abortImport(databaseId: DatabaseId, deadlineMs: Milliseconds): Promise<LogIndex> {
    this.#mustLead();
    this.#stagedOrThrow(databaseId);
    return await this.#committed(this.#proposeDrop(databaseId), deadlineMs);
  }

  /** Resolves when everything that is in the log now is committed. */
  async barrier(deadlineMs: Milliseconds): Promise<LogIndex> {
    this.#mustLead();
    return await this.#committed(this.#tip(), deadlineMs);
  }

  onTransaction({ database, delta }: AppendedTransaction): void {
    this.stages.appended(this.#options.log.lastIndex());
    this.#writers.get(database.id)?.onLocated(delta);
  }

  onPublished(commitIndex: LogIndex): void {
    this.stages.committed(commitIndex);
    this.#waiters.published(commitIndex, (index) => this.#options.log.termAt(index));
    for (const writer of this.#writers.values()) writer.pump();
  }

  /** Followers hold entries that are committed and that nothing has told them of; or none any more. */
  onCommitNews(hasNews: boolean): void {
    this.#news.set(hasNews);
  }

  /** The `.db` file of the database is newer now. */
  onCheckpoint(database: Database): void {
    this.#writers.get(database.id)?.onCheckpoint();
  }

  /** Position from which on open sessions may look in the log. */
  needsFrom(): LogPosition {
    let needed = Infinity;
    for (const writer of this.#writers.values()) needed = Math.min(needed, writer.needsFrom);
    return needed;
  }

  onWriteResults(results: WriteResults): void {
    this.#writers.get(results.databaseId)?.onResults(results);
  }

  onTransactionResults(results: TransactionResults): void {
    this.#writers.get(results.databaseId)?.onTransactionResults(results);
  }

  /** The session of a writer that had nothing to do is closed. */
  onSessionGone(databaseId: DatabaseId): void {
    this.#writers.get(databaseId)?.onSessionGone();
  }

  /** @param running whose batch ran when the worker was lost */
  onWriterLost(running: DatabaseId | undefined): void {
    for (const writer of this.#writers.values()) writer.onWorkerLost(writer.database.id === running);
  }

  /** What is not in the log is refused; what is in it waits for its fate. */
  onLeadershipLost(): void {
    this.stages.forget();
    const error = new NodeError("not_leader", "Write refused: this node stopped leading; nothing was logged");
    for (const writer of this.#writers.values()) writer.close(error);
    this.#writers.clear();
  }

  /** A leader before this one may have died in the middle of an import: its remains go. */
  onLeadershipWon(): void {
    for (const database of this.#options.store.staged()) {
      try {
        this.#proposeDrop(database.id);
      } catch (error) {
        // Leadership is gone again: the next leader does it.
        if (error instanceof NodeError) return;
        throw error;
      }
    }
  }

  sweep(): void {
    const nowMs = this.#options.clock.nowMs();
    this.#waiters.expire(nowMs);
    for (const writer of this.#writers.values()) writer.expire(nowMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#news.stop();
    const error = stopping();
    for (const writer of this.#writers.values()) writer.close(error);
    this.#writers.clear();
    this.#waiters.rejectAll();
  }

  #mustLead(): void {
    if (this.#options.driver.role !== "leader") {
      throw new NodeError("not_leader", "Cannot write: this node does not lead; nothing was logged");
    }
  }

  /** Undefined when there is none and writes may not create one. */
  #databaseFor(name: string): Database | undefined {
    const database = this.#options.store.findAtTip(name);
    if (database !== undefined || !this.#options.createDatabases) return database;
    return this.#create(name, false, PAGE_SIZE_DEFAULT);
  }

  /** Says so only once it is certain that no newer leader knows better. */
  async #notFound(name: string, deadlineMs: Milliseconds): Promise<never> {
    await this.#confirmed(this.#tip(), deadlineMs);
    throw new NodeError("database_not_found", `There is no database ${name}`);
  }

  /** Proposes the entry and carries it into the log at once, so that the database is there for what follows. */
  #create(name: string, staged: boolean, pageSize: number): Database {
    const { store, clock, driver } = this.#options;
    mustBeName(name);
    if (store.databaseCount >= LIMITS.databaseCountMax) {
      throw new NodeError(
        "bad_request",
        `Cannot create database ${name}: ${store.databaseCount} exist already`,
        {
          limit: { name: "databaseCountMax", value: LIMITS.databaseCountMax },
        },
      );
    }
    const { index } = this.#propose(encodeCreate({ name, staged, pageSize, wallMs: clock.wallMs() }));
    driver.run();
    const database = store.get(index);
    if (database === undefined) {
      throw new NodeError("not_leader", `Cannot create database ${name}: leadership was lost`);
    }
    return database;
  }

  #proposeDrop(databaseId: DatabaseId): { index: LogIndex; term: Term } {
    return this.#propose(encodeDrop({ databaseId, wallMs: this.#options.clock.wallMs() }));
  }

  #stagedOrThrow(databaseId: DatabaseId): Database {
    const database = this.#options.store.get(databaseId);
    if (database === undefined || database.visibleFrom !== undefined || database.droppedAt !== undefined) {
      throw new NodeError(
        "timeout",
        `Upload ${databaseId} is not open any more: the leader changed; start over`,
      );
    }
    return database;
  }

  #propose(body: Uint8Array): { index: LogIndex; term: Term } {
    const { driver } = this.#options;
    if (driver.refusesWrites && driver.role === "leader") {
      throw diskFull();
    }
    const proposed = driver.raft.propose(body);
    driver.schedule();
    if ("index" in proposed) return proposed;
    switch (proposed.refused) {
      case "uncommitted_full":
        throw new NodeError("queue_full", "Cannot write: too much waits for a majority; nothing was logged", {
          limit: { name: "uncommittedBytesMax", value: LIMITS.uncommittedBytesMax },
        });
      case "transferring":
      case "not_leader":
        throw new NodeError("not_leader", "Cannot write: leadership is moving; nothing was logged");
    }
  }

  #tip(): { index: LogIndex; term: Term } {
    const { raft } = this.#options.driver;
    if (raft.role !== "leader") throw stoppedLeading();
    return { index: raft.lastIndex, term: raft.lastTerm };
  }

  /** For answers that add no entry: the tip they saw is committed, and no newer leader had taken over when they saw it. */
  async #confirmed(at: { index: LogIndex; term: Term }, deadlineMs: Milliseconds): Promise<LogIndex> {
    const { driver: { raft }, gate } = this.#options;
    const { term } = raft;
    await gate.confirm(deadlineMs);
    if (raft.role !== "leader" || raft.term !== term) throw stoppedLeading();
    return await this.#committed(at, deadlineMs);
  }

  #committed(at: { index: LogIndex; term: Term }, deadlineMs: Milliseconds): Promise<LogIndex> {
    const { store, log } = this.#options;
    const unknown = () =>
      new NodeError(
        "commit_unknown",
        `The write is entry ${at.index} of term ${at.term} in this node's log, but no majority confirmed it in time`,
      );
    if (at.index > store.publishedIndex) return this.#waiters.wait(at.index, at.term, deadlineMs, unknown);
    const term = log.termAt(at.index);
    if (term === at.term) return Promise.resolve(at.index);
    return Promise.reject(term === undefined ? unknown() : stoppedLeading());
  }

  #writerFor(database: Database): DatabaseWriter {
    let writer = this.#writers.get(database.id);
    this.#writers.delete(database.id);
    writer ??= new DatabaseWriter(database, this.#host);
    this.#writers.set(database.id, writer);
    if (this.#writers.size > WRITERS_OPEN_MAX) this.#closeIdleWriter(writer);
    return writer;
  }

  #closeIdleWriter(inUse: DatabaseWriter): void {
    for (const writer of this.#writers.values()) {
      if (!writer.isIdle || writer === inUse) continue;
      this.#closeWriter(writer.database, new NodeError("stopping", "Writer closed"));
      return;
    }
  }

  #closeWriter(database: Database, error: NodeError): void {
    this.#writers.get(database.id)?.close(error);
    this.#writers.delete(database.id);
  }
}

function diskFull(): NodeError {
  return new NodeError(
    "disk_full",
    "Cannot write: the leader's disk is full; nothing was logged. Free some space there (16 MiB are kept in reserve), " +
      "it goes on by itself",
  );
}

function stopping(): NodeError {
  return new NodeError("stopping", "Write refused: the node is stopping; nothing was logged");
}

function stoppedLeading(): NodeError {
  return new NodeError("not_leader", "Cannot write: this node stopped leading; nothing of it was committed");
}
