import type { LogPosition } from "../base/ids.ts";
import type { Database } from "../pages/database.ts";
import type { PageDelta } from "../pages/page_index.ts";
import type { WriterUpdate } from "../sql/messages.ts";
import type { WriterHost } from "./writer_host.ts";

/** The writer session of a database as the main thread knows it: whether it is open, and what it has to be told. */
export class SessionLink {
  readonly #database: Database;
  readonly #host: Pick<WriterHost, "baseOf" | "closeSession">;
  #isOpen = false;
  #isClosed = false;
  /** Batches whose entries were proposed but are not in the log yet, oldest first. */
  #unlocated: number[] = [];
  #located: PageDelta[] = [];
  #locatedBatch = 0;
  /** Where in the log the session may look. */
  #needsFrom: LogPosition = Infinity;
  /** A checkpoint has copied what the session still looks for in the log. */
  #rebaseDue = false;

  constructor(database: Database, host: Pick<WriterHost, "baseOf" | "closeSession">) {
    this.#database = database;
    this.#host = host;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The log from here on has to stay for the session. */
  get needsFrom(): LogPosition {
    return this.#isOpen ? this.#needsFrom : Infinity;
  }

  /**
   * What the next message tells the session; the first one opens it. Undefined: to know the base the log was brought up to
   * date, and that has ended this writer.
   */
  update(batchNumber: number): WriterUpdate | undefined {
    const opens = !this.#isOpen;
    const base = opens || this.#rebaseDue ? this.#host.baseOf(this.#database) : undefined;
    if (this.#isClosed) return undefined;
    if (opens) {
      this.#unlocated = [];
      this.#locatedBatch = batchNumber - 1;
      this.#isOpen = true;
    }
    if (base !== undefined) {
      this.#located = [];
      this.#needsFrom = this.#database.oldestPosition ?? Infinity;
      this.#rebaseDue = false;
    }
    const located = this.#located;
    this.#located = [];
    return {
      databaseId: this.#database.id,
      batchNumber,
      located,
      locatedBatch: this.#locatedBatch,
      ...(base === undefined ? {} : opens ? { base } : { rebase: base }),
    };
  }

  /** Entries of the batch are on their way into the log. */
  proposed(batchNumber: number): void {
    this.#unlocated.push(batchNumber);
  }

  /** The log holds a transaction of this database: the worker may read its pages there. */
  onLocated(delta: PageDelta): void {
    const batch = this.#unlocated.shift();
    if (batch === undefined || !this.#isOpen) return;
    this.#located.push(delta);
    this.#locatedBatch = batch;
  }

  /** The `.db` file holds what the log may lose now. A session in use learns it with the next message, or ends. */
  onCheckpoint(isInUse: boolean): void {
    if (isInUse) this.#rebaseDue = true;
    else this.drop();
  }

  /** The session is gone. */
  lost(): void {
    this.#isOpen = false;
  }

  /** Gives it up. */
  drop(): void {
    if (this.#isOpen) this.#host.closeSession(this.#database);
    this.#isOpen = false;
  }

  /** For good. A place that was kept for a session is given up, too. */
  close(): void {
    this.#isClosed = true;
    this.#isOpen = false;
    this.#host.closeSession(this.#database);
  }
}
