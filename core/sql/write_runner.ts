import { assert } from "../base/assert.ts";
import { NodeError } from "../base/errors.ts";
import { LIMITS } from "../base/limits.ts";
import type { Clock } from "../base/ports.ts";
import { transcodeAnswer } from "./answer_transcoder.ts";
import type { AnswerWriter } from "./answer_writer.ts";
import type { CompiledStatement } from "./compiled_statement.ts";
import { EngineLimit, SqliteError } from "./engine.ts";
import type { IdempotencyStore } from "./idempotency.ts";
import { bindParameters } from "./parameters.ts";
import { hashRequest } from "./request_hash.ts";
import { AnswerWriters, type ResultLimits, writeRows } from "./result_encoder.ts";
import type { SessionLimits } from "./session_limits.ts";
import { inBatch, refused } from "./sql_errors.ts";
import { finishing, isOrdinary, type SqlSession } from "./sql_session.ts";
import type { EncodedFields, ResultFormat, RowShape, SqlParameters, Statement } from "./values.ts";
import type { WalMemory } from "./wal_memory.ts";
import type { TransactionJob, WriteJob } from "./writer_session.ts";

interface Answer {
  readonly fields: EncodedFields;
  readonly replayed: boolean;
}

/** Where and how the answer of a request is written. */
interface AnswerTarget {
  readonly writer: AnswerWriter;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  readonly limits: ResultLimits;
}

/** `changes`, `last_insert_rowid`, and with rows `columns`, `types`, `rows`. */
const FIELDS_WITHOUT_ROWS = 2;
const FIELDS_WITH_ROWS = 5;
const MSGPACK_FIXED_MAP = 0x80;

/** Around a statement of a transaction that could fail after it has changed something. */
const STATEMENT_SAVEPOINT = "walraft_statement";

/** Runs one request as one transaction of its own: all of it, or nothing. Or a transaction, request by request. */
export class WriteRunner {
  readonly #session: SqlSession;
  readonly #wal: WalMemory;
  readonly #keys: IdempotencyStore;
  readonly #limits: SessionLimits;
  readonly #clock: Clock;
  readonly #writers = new AnswerWriters();
  /** Of the request that runs, or ran last. */
  #changedSchema = false;
  #isReadOnly = true;

  constructor(
    session: SqlSession,
    wal: WalMemory,
    keys: IdempotencyStore,
    limits: SessionLimits,
    clock: Clock,
  ) {
    this.#session = session;
    this.#wal = wal;
    this.#keys = keys;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** @throws NodeError, SqliteError; nothing was changed then */
  run(job: WriteJob): Answer {
    this.#forgetOutdated();
    this.#isReadOnly = true;
    this.#session.connection.clearLastInsertRowid();
    const deadlineMs = this.#clock.nowMs() + job.runMsMax;
    return this.#session.withDeadline(deadlineMs, () => {
      if (job.idempotencyKey !== undefined) return this.#runKeyed(job, job.idempotencyKey);
      return { fields: this.#runOnce(job, this.#target(job)), replayed: false };
    });
  }

  /** Opens a transaction over several requests; `run` must not be called before it has ended. */
  begin(): void {
    this.#forgetOutdated();
    this.#session.connection.clearLastInsertRowid();
    this.#session.internal("BEGIN IMMEDIATE");
  }

  /**
   * One statement inside it. When it fails the transaction stays open or not, as SQLite decides.
   *
   * @throws NodeError, SqliteError
   */
  runInside(job: TransactionJob): EncodedFields {
    this.#forgetOutdated();
    const { policy } = this.#session;
    const { sql, parameters } = job.statement;
    const target = this.#target(job);
    const run = () => this.#session.use(sql, (compiled) => this.#inside(compiled, parameters, target));
    try {
      return this.#session.withDeadline(this.#clock.nowMs() + job.runMsMax, () => policy.inTransaction(run));
    } catch (error) {
      const { connection } = this.#session;
      // SQLite may have rolled back by itself, and with it changes of the schema.
      if (isOrdinary(error) && connection.failure === undefined) {
        this.#changedSchema ||= connection.isAutocommit();
      }
      throw error;
    }
  }

  #inside(compiled: CompiledStatement, parameters: SqlParameters, target: AnswerTarget): EncodedFields {
    this.#note(compiled);
    // It may take changes of the schema back.
    this.#changedSchema ||= compiled.facts.savepoint === "ROLLBACK";
    if (compiled.isVacuum) throw refused("VACUUM is a transaction of its own; send it outside of one");
    const run = () => this.#statement(compiled, parameters, target);
    const mayFailLate = !compiled.isReadOnly && (compiled.returnsRows || compiled.facts.altersTable);
    return mayFailLate ? this.#inSavepoint(compiled, run) : run();
  }

  /** The answer may be too large, or the new name a reserved one, after the statement has done its work. */
  #inSavepoint<T>(compiled: CompiledStatement, work: () => T): T {
    const { connection } = this.#session;
    this.#session.internal(`SAVEPOINT ${STATEMENT_SAVEPOINT}`);
    try {
      const result = work();
      if (compiled.facts.altersTable) this.#refuseIntruder();
      this.#session.internal(`RELEASE ${STATEMENT_SAVEPOINT}`);
      return result;
    } catch (error) {
      if (!isOrdinary(error) || connection.failure !== undefined || connection.isAutocommit()) throw error;
      // A savepoint cannot be released while a statement that writes still runs.
      compiled.engine.reset();
      this.#session.internal(`ROLLBACK TO ${STATEMENT_SAVEPOINT}`);
      this.#session.internal(`RELEASE ${STATEMENT_SAVEPOINT}`);
      throw error;
    }
  }

  /** Foreign keys that were deferred are checked here; when one fails the transaction stays open. */
  commit(): void {
    this.#session.internal("COMMIT");
  }

  rollBack(): void {
    // Kept statements may know a schema that is taken back.
    this.#changedSchema = true;
    if (!this.#session.connection.isAutocommit()) this.#session.internal("ROLLBACK");
  }

  /** What a kept statement touches, triggers above all, may be different now. */
  #forgetOutdated(): void {
    if (this.#changedSchema) this.#session.forgetStatements();
    this.#changedSchema = false;
  }

  #target(job: Pick<WriteJob, "format" | "rowShape">): AnswerTarget {
    const limits = {
      rowsMax: this.#limits.resultRowsMax,
      bytesMax: this.#limits.resultBytesMax,
      bytesName: "result_bytes",
    };
    return { writer: this.#writers.get(job.format), format: job.format, rowShape: job.rowShape, limits };
  }

  #runOnce(job: WriteJob, target: AnswerTarget): EncodedFields {
    if (job.kind === "batch") return this.#inTransaction(() => this.#batch(job.statements, target));
    return this.#execute(onlyStatement(job), target);
  }

  #note(compiled: CompiledStatement): void {
    this.#changedSchema ||= compiled.facts.changesSchema;
    this.#isReadOnly &&= compiled.isReadOnly;
  }

  /** A plain statement is a transaction by itself, which costs less than BEGIN and COMMIT around it. */
  #execute({ sql, parameters }: Statement, target: AnswerTarget): EncodedFields {
    return this.#session.use(sql, (compiled) => {
      this.#note(compiled);
      if (compiled.isVacuum) return this.#vacuum(compiled, parameters, target);
      const run = () => this.#statement(compiled, parameters, target);
      if (needsTransaction(compiled)) return this.#inTransaction(run, compiled.facts.altersTable);
      return this.#checked(() => {
        const fields = run();
        if (compiled.facts.isPragma) this.#endPragma();
        return fields;
      });
    });
  }

  /** `defer_foreign_keys` lasts until the end of a transaction: it must not reach that of the next request. */
  #endPragma(): void {
    this.#session.internal("BEGIN IMMEDIATE");
    this.#session.internal("COMMIT");
  }

  #vacuum(compiled: CompiledStatement, parameters: SqlParameters, target: AnswerTarget): EncodedFields {
    const { connection, policy } = this.#session;
    connection.setLimit(EngineLimit.attached, 1);
    const run = () =>
      this.#checked(() => policy.inVacuum(() => this.#statement(compiled, parameters, target)));
    return finishing(run, () => connection.setLimit(EngineLimit.attached, 0));
  }

  #batch(statements: readonly Statement[], target: AnswerTarget): EncodedFields {
    const { writer } = target;
    if (statements.length > LIMITS.statementsPerBatchMax) {
      const limit = { name: "statements_per_batch", value: LIMITS.statementsPerBatchMax };
      throw new NodeError(
        "bad_request",
        `Cannot run ${statements.length} statements in one batch: ${limit.value} are allowed`,
        { limit },
      );
    }
    writer.key("results");
    writer.beginArray(statements.length);
    statements.forEach((statement, index) => {
      if (index > 0) writer.separator();
      try {
        this.#batchStatement(statement, target);
      } catch (error) {
        if (error instanceof NodeError) throw inBatch(error, index, statements.length);
        if (!(error instanceof SqliteError) || this.#session.connection.failure !== undefined) throw error;
        throw inBatch(this.#session.toNodeError(error), index, statements.length);
      }
    });
    writer.endArray();
    return { format: target.format, count: 1, bytes: writer.take() };
  }

  #batchStatement({ sql, parameters }: Statement, target: AnswerTarget): void {
    const { writer } = target;
    this.#session.use(sql, (compiled) => {
      this.#note(compiled);
      if (compiled.isVacuum) {
        throw refused("VACUUM is a transaction of its own; send it with execute, without a key");
      }
      writer.beginMap(compiled.returnsRows ? FIELDS_WITH_ROWS : FIELDS_WITHOUT_ROWS);
      this.#writeResult(compiled, parameters, target);
      writer.endMap();
      if (compiled.facts.altersTable) this.#refuseIntruder();
    });
  }

  #statement(compiled: CompiledStatement, parameters: SqlParameters, target: AnswerTarget): EncodedFields {
    this.#writeResult(compiled, parameters, target);
    const count = compiled.returnsRows ? FIELDS_WITH_ROWS : FIELDS_WITHOUT_ROWS;
    return { format: target.format, count, bytes: target.writer.take() };
  }

  /** Rows come before the number of changes is known, but stand behind it. */
  #writeResult(compiled: CompiledStatement, parameters: SqlParameters, target: AnswerTarget): void {
    const { connection } = this.#session;
    const { writer } = target;
    const { engine } = compiled;
    bindParameters(engine, parameters);
    const totalBefore = connection.totalChanges();
    const firstRow = engine.step();
    const start = writer.length;
    if (compiled.returnsRows) {
      writeRows(
        writer,
        engine,
        firstRow,
        compiled.encodedColumns(target.format, target.rowShape),
        target.limits,
      );
    } else {
      assert(!firstRow, "A statement without columns returned a row");
    }
    const middle = writer.length;
    // Virtual tables and VACUUM insert rows for themselves.
    if (compiled.facts.changesSchema || compiled.isVacuum) connection.clearLastInsertRowid();
    // SQLite counts only INSERT, UPDATE and DELETE, and keeps the number of the last one.
    const isCounted = !compiled.facts.changesSchema && connection.totalChanges() !== totalBefore;
    writer.key("changes");
    writer.integer(isCounted ? connection.changes() : 0);
    writer.separator();
    writer.key("last_insert_rowid");
    writer.integer(connection.lastInsertRowid());
    if (!compiled.returnsRows) return;
    writer.separator();
    writer.moveTailTo(start, middle);
  }

  #runKeyed(job: WriteJob, key: string): Answer {
    const hash = hashRequest(job.kind, job.statements);
    let replayed = true;
    const stored = this.#inTransaction(() => {
      const found = this.#keys.find(key, hash);
      if (found !== undefined) return found;
      replayed = false;
      return this.#runAndStore(job, key, hash);
    });
    return { fields: this.#fromStored(stored, job), replayed };
  }

  #runAndStore(job: WriteJob, key: string, hash: Uint8Array): Uint8Array {
    const target: AnswerTarget = {
      writer: this.#writers.get("msgpack"),
      format: "msgpack",
      rowShape: "arrays",
      limits: {
        rowsMax: this.#limits.resultRowsMax,
        bytesMax: this.#limits.idempotencyAnswerBytesMax,
        bytesName: "idempotency_answer_bytes",
      },
    };
    const totalBefore = this.#wal.commits;
    const { bytes, count } = job.kind === "batch"
      ? this.#batch(job.statements, target)
      : this.#keyedStatement(onlyStatement(job), target);
    assert(this.#wal.commits === totalBefore, "A keyed request committed before its answer was stored");
    const answer = new Uint8Array(bytes.length + 1);
    answer[0] = MSGPACK_FIXED_MAP | count;
    answer.set(bytes, 1);
    // Reading again is harmless, and a better answer.
    if (!this.#isReadOnly) this.#keys.add(key, hash, answer);
    return answer;
  }

  #keyedStatement({ sql, parameters }: Statement, target: AnswerTarget): EncodedFields {
    return this.#session.use(sql, (compiled) => {
      this.#note(compiled);
      if (compiled.isVacuum) {
        throw refused("VACUUM cannot have an idempotency key; it may be repeated without one");
      }
      const fields = this.#statement(compiled, parameters, target);
      if (compiled.facts.altersTable) this.#refuseIntruder();
      return fields;
    });
  }

  #fromStored(stored: Uint8Array, { format, rowShape }: WriteJob): EncodedFields {
    const count = stored[0]! & 0x0f;
    if (format === "msgpack" && rowShape === "arrays") return { format, count, bytes: stored.slice(1) };
    const writer = this.#writers.get(format);
    transcodeAnswer(stored.subarray(1), count, writer, rowShape);
    return { format, count, bytes: writer.take() };
  }

  #refuseIntruder(): void {
    const name = this.#keys.findIntruder();
    if (name !== undefined) throw refused(`the name ${name} belongs to walraft`);
  }

  #inTransaction<T>(work: () => T, altersTable = false): T {
    return this.#checked(() => {
      this.#session.internal("BEGIN IMMEDIATE");
      const result = work();
      if (altersTable) this.#refuseIntruder();
      // Foreign keys that were deferred are checked here.
      this.#session.internal("COMMIT");
      return result;
    });
  }

  /** Promise 5: what fails has changed nothing. */
  #checked<T>(work: () => T): T {
    const { connection } = this.#session;
    const commits = this.#wal.commits;
    try {
      return work();
    } catch (error) {
      if (!isOrdinary(error) || connection.failure !== undefined) throw error;
      // SQLite rolls back by itself after some errors.
      if (!connection.isAutocommit()) this.#session.internal("ROLLBACK");
      this.#keys.forget();
      assert(this.#wal.commits === commits, "A request failed after it was committed");
      throw error;
    }
  }
}

function needsTransaction(compiled: CompiledStatement): boolean {
  if (compiled.isReadOnly) return false;
  return compiled.returnsRows || compiled.mayFailHalfway || compiled.facts.altersTable;
}

function onlyStatement(job: WriteJob): Statement {
  const [statement] = job.statements;
  if (statement !== undefined && job.statements.length === 1) return statement;
  throw new NodeError("bad_request", `Cannot execute ${job.statements.length} statements: use batch`);
}
