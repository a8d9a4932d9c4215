import type { DatabaseId } from "../base/ids.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock, Random } from "../base/ports.ts";
import { encodePages } from "../pages/entry_body.ts";
import type { LogPageSource } from "../pages/log_page_source.ts";
import type { EngineModule } from "./engine.ts";
import type { Judgement } from "./judgement.ts";
import type { DatabaseBase, TransactionMessage, WriteResults, WriterUpdate } from "./messages.ts";
import { packAnswers } from "./packed_answers.ts";
import type { SessionLimits } from "./session_limits.ts";
import type { CancelFlag } from "./sql_session.ts";
import { runTransactionStep, type StepResults } from "./transaction_step.ts";
import { type BatchBounds, type WriteBatch, type WriteJob, WriterSession } from "./writer_session.ts";

export interface OpenWritersOptions {
  readonly module: EngineModule;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: Partial<SessionLimits>;
  readonly cancel: CancelFlag;
  /** Where the pages of a database are. */
  readonly newSource: (base: DatabaseBase) => LogPageSource;
}

interface OpenWriter {
  readonly source: LogPageSource;
  readonly session: WriterSession;
}

export type BatchResults = Pick<WriteResults, "answers" | "replayed" | "bodies" | "diedAt"> & {
  /** Before they were packed. */
  readonly results: WriteBatch["results"];
};

/** The writer sessions that one thread holds, told by messages what they have to know. */
export class OpenWriters {
  readonly #options: OpenWritersOptions;
  readonly #writers = new Map<DatabaseId, OpenWriter>();
  /** The newest base that a session is being made of. */
  readonly #opening = new Map<DatabaseId, DatabaseBase>();

  constructor(options: OpenWritersOptions) {
    this.#options = options;
  }

  /**
   * Opens a session (2 to 3 ms); an older one of the database is given up first.
   *
   * @returns false when it was closed, or another one asked for, before it was there
   */
  async open(base: DatabaseBase): Promise<boolean> {
    const { databaseId } = base;
    this.close(databaseId);
    this.#opening.set(databaseId, base);
    const source = this.#options.newSource(base);
    try {
      const session = await WriterSession.open({
        ...this.#options,
        pageSize: base.pageSize,
        source,
      });
      if (this.#opening.get(databaseId) === base) {
        this.#opening.delete(databaseId);
        this.#writers.set(databaseId, { source, session });
        return true;
      }
      session.close();
      source.close();
      return false;
    } catch (error) {
      source.close();
      throw error;
    }
  }

  /** What a message says before it says what to do; its base, if it has one, is open. */
  update({ databaseId, rebase, located, locatedBatch }: WriterUpdate): void {
    const { source, session } = this.#writer(databaseId);
    if (rebase !== undefined) source.rebase(rebase);
    for (const delta of located) source.add(delta, delta.index);
    session.pagesLocated(locatedBatch);
  }

  /** The session is gone when one of the requests has killed it. */
  runBatch(
    databaseId: DatabaseId,
    jobs: readonly WriteJob[],
    batchNumber: number,
    bounds?: BatchBounds,
  ): BatchResults {
    const writer = this.#writer(databaseId);
    const batch = writer.session.runBatch(jobs, batchNumber, bounds);
    const { results } = batch;
    const answers = packAnswers(
      results.map((result) => result.ok ? { ok: true, value: result.fields } : result),
    );
    const replayed = results.flatMap((result, i) => result.ok && result.replayed ? [i] : []);
    if (writer.session.isDead) {
      this.close(databaseId);
      return { results, answers, replayed, bodies: [], diedAt: batch.diedAt ?? -1 };
    }
    return { results, answers, replayed, bodies: this.#encode(writer, databaseId, batch) };
  }

  runStep(message: TransactionMessage): StepResults {
    const { databaseId } = message;
    const writer = this.#writer(databaseId);
    return runTransactionStep(
      writer.session,
      message,
      (batch) => this.#encode(writer, databaseId, batch),
    );
  }

  /** A text that cannot be explained is long. The session may be gone afterwards. */
  judge(databaseId: DatabaseId, sql: string): Judgement {
    const { session } = this.#writer(databaseId);
    try {
      return session.judge(sql);
    } catch {
      if (session.isDead) this.close(databaseId);
      return { isShort: false, schemaCookie: 0 };
    }
  }

  schemaCookie(databaseId: DatabaseId): number {
    return this.#writer(databaseId).session.schemaCookie();
  }

  has(databaseId: DatabaseId): boolean {
    return this.#writers.has(databaseId);
  }

  close(databaseId: DatabaseId): void {
    this.#opening.delete(databaseId);
    const writer = this.#writers.get(databaseId);
    this.#writers.delete(databaseId);
    writer?.session.close();
    writer?.source.close();
  }

  #writer(databaseId: DatabaseId): OpenWriter {
    const writer = this.#writers.get(databaseId);
    if (writer === undefined) throw new Error(`No writer session of database ${databaseId} is open`);
    return writer;
  }

  #encode(
    writer: OpenWriter,
    databaseId: DatabaseId,
    { pages, pageCount }: Pick<WriteBatch, "pages" | "pageCount">,
  ): Uint8Array[] {
    if (pages.length === 0) return [];
    return encodePages(pages, {
      wallMs: this.#options.clock.wallMs(),
      databaseId,
      pageSize: writer.source.pageSize,
      pageCount,
      entryBytesMax: this.#options.limits?.entryBytesMax ?? LIMITS.entryBytesMax,
    });
  }
}
