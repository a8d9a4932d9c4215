import { NodeError } from "../../core/base/errors.ts";
import type { LogIndex, Milliseconds } from "../../core/base/ids.ts";
import type { Random } from "../../core/base/ports.ts";
import type { EngineName } from "../../core/sql/engine.ts";
import { ReaderSession } from "../../core/sql/reader_session.ts";
import type { SessionLimits } from "../../core/sql/session_limits.ts";
import type { RowShape, SqlParameters } from "../../core/sql/values.ts";
import { loadEngineModule } from "../../core/sql/wasm/load_engine.ts";
import { type WriteBatch, type WriteJob, WriterSession } from "../../core/sql/writer_session.ts";
import { ManualClock } from "./manual_clock.ts";
import { MemoryPages } from "./memory_pages.ts";
import { SeededRandom } from "./seeded_random.ts";

/** A clock that goes on by `stepMs` with each look. */
export class SteppingClock extends ManualClock {
  stepMs = 0;

  override nowMs(): Milliseconds {
    this.advance(this.stepMs);
    return super.nowMs();
  }
}

/** JSON answers as JavaScript values, the marked objects left as they are. */
export type Fields = Record<string, unknown> & { columns?: string[]; types?: string[]; rows?: unknown[][] };

/**
 * One database of a node without the node: a writer over a versioned page store, and readers at views. Every batch that
 * wrote is appended as the next index.
 */
export class SqlDatabase {
  readonly pages: MemoryPages;
  readonly clock: SteppingClock;
  readonly limits: Partial<SessionLimits>;
  readonly random: Random;
  isCancelled = false;
  /** The page source is told about batches at once; a test may hold it back. */
  locatesAtOnce = true;
  writer!: WriterSession;
  #reader: ReaderSession | undefined;
  #batchNumber = 0;

  constructor(
    options: { pages?: MemoryPages; limits?: Partial<SessionLimits>; clock?: SteppingClock; seed?: number } =
      {},
  ) {
    this.pages = options.pages ?? new MemoryPages();
    this.limits = options.limits ?? {};
    this.clock = options.clock ?? new SteppingClock();
    this.random = new SeededRandom(options.seed ?? 1);
  }

  static async open(options: ConstructorParameters<typeof SqlDatabase>[0] = {}): Promise<SqlDatabase> {
    const database = new SqlDatabase(options);
    await database.reopenWriter();
    return database;
  }

  async reopenWriter(engine?: EngineName): Promise<void> {
    this.#batchNumber = 0;
    this.writer = await WriterSession.open({
      ...this.#ports(engine),
      pageSize: this.pages.pageSize,
      source: this.pages.source(),
    });
  }

  openReader(limits: Partial<SessionLimits> = this.limits, engine?: EngineName): Promise<ReaderSession> {
    return ReaderSession.open({ ...this.#ports(engine), limits, source: this.pages.source() });
  }

  #ports(engine?: EngineName) {
    const { clock, random, limits } = this;
    return {
      module: loadEngineModule(engine),
      clock,
      random,
      limits,
      cancel: { isCancelled: () => this.isCancelled },
    };
  }

  /** Runs a batch and, like a node, appends its pages; a dead writer's pages never get that far. */
  runBatch(jobs: readonly WriteJob[]): WriteBatch {
    this.#batchNumber += 1;
    const batch = this.writer.runBatch(jobs, this.#batchNumber);
    if (batch.pages.length > 0) {
      this.pages.append(this.pages.tip + 1, batch.pages, batch.pageCount);
      if (this.locatesAtOnce) this.writer.pagesLocated(this.#batchNumber);
    }
    return batch;
  }

  located(): void {
    this.writer.pagesLocated(this.#batchNumber);
  }

  /** One write alone in its batch. @throws NodeError */
  execute(sql: string, parameters: SqlParameters = [], options: Partial<WriteJob> = {}): Fields {
    return this.run({ ...job(sql, parameters), ...options });
  }

  batch(
    statements: readonly (string | [string, SqlParameters])[],
    options: Partial<WriteJob> = {},
  ): Fields[] {
    const fields = this.run({ ...batchJob(statements), ...options });
    return fields.results as Fields[];
  }

  run(write: WriteJob): Fields {
    const result = this.runBatch([write]).results[0]!;
    if (!result.ok) throw new NodeError(result.error.code, result.error.message, result.error.details);
    return decodeJson(result.fields.bytes);
  }

  /** At the tip, or at an index. */
  async query(
    sql: string,
    parameters: SqlParameters = [],
    viewIndex: LogIndex = this.pages.tip,
  ): Promise<Fields> {
    if (this.#reader?.isDead !== false) this.#reader = await this.openReader();
    return queryJson(this.#reader, sql, parameters, viewIndex);
  }

  async rows(
    sql: string,
    parameters: SqlParameters = [],
    viewIndex: LogIndex = this.pages.tip,
  ): Promise<unknown[][]> {
    return (await this.query(sql, parameters, viewIndex)).rows!;
  }

  close(): void {
    this.writer.close();
    this.#reader?.close();
  }
}

export function queryJson(
  reader: ReaderSession,
  sql: string,
  parameters: SqlParameters = [],
  viewIndex: LogIndex = 0,
  rowShape: RowShape = "arrays",
): Fields {
  const answer = reader.query({ sql, parameters, viewIndex, deadlineMs: Infinity, format: "json", rowShape });
  return decodeJson(answer.fields.bytes);
}

export function job(sql: string, parameters: SqlParameters = []): WriteJob {
  const statements = [{ sql, parameters }];
  return { kind: "execute", statements, format: "json", rowShape: "arrays", runMsMax: 30_000 };
}

export function batchJob(statements: readonly (string | [string, SqlParameters])[]): WriteJob {
  return {
    kind: "batch",
    statements: statements.map((each) =>
      typeof each === "string" ? { sql: each, parameters: [] } : { sql: each[0], parameters: each[1] }
    ),
    format: "json",
    rowShape: "arrays",
    runMsMax: 30_000,
  };
}

export function decodeJson(bytes: Uint8Array): Fields {
  return JSON.parse(`{${new TextDecoder().decode(bytes)}}`) as Fields;
}

/** The code of the error a call fails with; fails itself when it succeeds. */
export function codeOf(call: () => unknown): string {
  return errorOf(call).code;
}

export function errorOf(call: () => unknown): NodeError {
  try {
    call();
  } catch (error) {
    if (error instanceof NodeError) return error;
    throw error;
  }
  throw new Error("The call succeeded");
}
