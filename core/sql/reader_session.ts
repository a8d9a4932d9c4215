import type { LogIndex, Milliseconds } from "../base/ids.ts";
import type { Clock, Random } from "../base/ports.ts";
import type { CompiledStatement } from "./compiled_statement.ts";
import type { EngineModule } from "./engine.ts";
import { isShortStatement, type Judgement } from "./judgement.ts";
import type { ViewSource } from "./page_source.ts";
import { bindParameters } from "./parameters.ts";
import { AnswerWriters, pourRows, type ResultLimits, writeRows } from "./result_encoder.ts";
import type { RowSink } from "./row_sink.ts";
import { isShortProgram } from "./short_program.ts";
import { DEFAULT_SESSION_LIMITS, type SessionLimits } from "./session_limits.ts";
import { readOnlyError, SchemaChangedError } from "./sql_errors.ts";
import { type CancelFlag, SqlSession } from "./sql_session.ts";
import {
  type EncodedFields,
  NO_FIELDS,
  type ResultFormat,
  type RowShape,
  type SqlParameters,
} from "./values.ts";
import { ViewFiles } from "./view_files.ts";

export interface ReaderSessionOptions {
  readonly module: EngineModule;
  readonly source: ViewSource;
  readonly clock: Clock;
  readonly random: Random;
  readonly cancel: CancelFlag;
  readonly limits?: Partial<SessionLimits>;
}

export interface QueryJob {
  readonly sql: string;
  readonly parameters: SqlParameters;
  readonly viewIndex: LogIndex;
  /** On the session's clock. */
  readonly deadlineMs: Milliseconds;
  readonly format: ResultFormat;
  readonly rowShape: RowShape;
  /** Run it only if this is still the schema; else SchemaChangedError. */
  readonly schemaCookie?: number | undefined;
  /** How often SQLite may read pages for it; beyond that it fails. Missing: as often as it wants. */
  readonly pageReadsMax?: number;
  /** Takes the rows; the fields are `NO_FIELDS` then. */
  readonly into?: RowSink | undefined;
}

/** `columns`, `types`, `rows`. */
const FIELD_COUNT = 3;

/** A read-only connection that can be moved between views. Calls are synchronous; one at a time. */
export class ReaderSession {
  readonly #session: SqlSession;
  readonly #files: ViewFiles;
  readonly #writers = new AnswerWriters();
  readonly #resultLimits: ResultLimits;
  readonly #clock: Clock;

  /** Makes an instance of SQLite (2 to 3 ms); reads nothing yet. */
  static async open(options: ReaderSessionOptions): Promise<ReaderSession> {
    const limits = { ...DEFAULT_SESSION_LIMITS, ...options.limits };
    const files = new ViewFiles(options.source, limits.temporaryBytesMax);
    const session = await SqlSession.open({ ...options, limits, fileSystem: files }, "read_only");
    return new ReaderSession(session, files, limits, options.clock);
  }

  constructor(session: SqlSession, files: ViewFiles, limits: SessionLimits, clock: Clock) {
    this.#clock = clock;
    this.#session = session;
    this.#files = files;
    this.#resultLimits = {
      rowsMax: limits.resultRowsMax,
      bytesMax: limits.resultBytesMax,
      bytesName: "result_bytes",
    };
  }

  /** The session cannot be used any more; open a new one over the same source (promise 7). */
  get isDead(): boolean {
    return this.#session.isDead;
  }

  /**
   * Runs one statement that changes nothing, at a view.
   *
   * @throws NodeError of every code that a statement can earn; `engine_failed` when the session died
   */
  query(job: QueryJob): { readonly fields: EncodedFields } {
    return this.#session.guard(() => {
      this.#files.readsLeft = job.pageReadsMax ?? Infinity;
      this.#moveTo(job.viewIndex);
      if (job.schemaCookie !== undefined && job.schemaCookie !== this.#files.schemaCookie()) {
        throw new SchemaChangedError();
      }
      return this.#session.use(job.sql, (compiled) => {
        if (!compiled.isReadOnly) throw readOnlyError();
        return this.#session.withDeadline(job.deadlineMs, () => ({ fields: this.#run(compiled, job) }));
      });
    });
  }

  /**
   * Looks at the program of a statement that has just run, at the view it ran at.
   *
   * @throws NodeError as `query`
   */
  judge(sql: string): Judgement {
    return this.#session.guard(() => {
      const schemaCookie = this.#files.schemaCookie();
      return { isShort: isShortStatement(this.#session, this.#clock, sql, isShortProgram), schemaCookie };
    });
  }

  /**
   * The first query at a view reads outside of a transaction; from the second on a transaction stays open, which
   * spares SQLite the check for changes each time. A view never changes, so it cannot hold anything up.
   */
  #moveTo(index: LogIndex): void {
    const session = this.#session;
    const isInTransaction = !session.connection.isAutocommit();
    if (index === this.#files.viewIndex) {
      if (!isInTransaction) session.internal("BEGIN");
      return;
    }
    if (isInTransaction) session.internal("COMMIT");
    const isFirst = this.#files.viewIndex < 0;
    this.#files.moveTo(index);
    if (isFirst) session.configure();
  }

  #run(compiled: CompiledStatement, job: QueryJob): EncodedFields {
    const { engine } = compiled;
    bindParameters(engine, job.parameters);
    const firstRow = engine.step();
    if (job.into !== undefined) {
      pourRows(job.into, engine, firstRow, compiled.columns(), this.#resultLimits);
      return NO_FIELDS;
    }
    const writer = this.#writers.get(job.format);
    const columns = compiled.encodedColumns(job.format, job.rowShape);
    writeRows(writer, engine, firstRow, columns, this.#resultLimits);
    return { format: job.format, count: FIELD_COUNT, bytes: writer.take() };
  }

  close(): void {
    this.#session.close();
  }
}
