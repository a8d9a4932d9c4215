import { LIMITS } from "../../core/base/limits.ts";
import { NodeError } from "../../core/base/errors.ts";
import type { CancelSignal } from "../../core/base/ports.ts";
import type { NodeService } from "../../core/node/service.ts";
import type { SqlParameter } from "../../core/sql/values.ts";
import type { Tuple } from "../wire/tuple.ts";
import { type Answer, EMPTY, respond } from "./answer.ts";
import { AnswerReader } from "./answer_reader.ts";
import { FailureError } from "./failure.ts";
import { FAILURE, FailureCode, failureOf, isRepeatedByClients } from "./failure_codes.ts";
import { parametersOf } from "./parameters.ts";
import type {
  ExecRequest,
  ExecSqlRequest,
  FinalizeRequest,
  OpenRequest,
  PrepareRequest,
  QueryRequest,
  QuerySqlRequest,
  Unsigned,
} from "./request.ts";
import { RowsSink } from "./rows_sink.ts";
import { Session } from "./session.ts";
import { type SqlStatement, statementsOf } from "./sql_text.ts";
import { StatementTable } from "./statement_table.ts";

/** The protocol has one database a connection, and gives it this id. */
const DATABASE_ID = 0;
const UTF8 = new TextEncoder();

/** Requests about SQL on one connection: at most one database, prepared statements, a transaction. */
export class SqlRequests {
  readonly #node: NodeService;
  readonly #createDatabases: boolean;
  readonly #statements = new StatementTable();
  readonly #rows = new RowsSink();
  #session: Session | undefined;
  #isClosed = false;
  #lastInsertRowid: number | bigint = 0;

  /** @param createDatabases whether Open may create one */
  constructor(node: NodeService, createDatabases: boolean) {
    this.#node = node;
    this.#createDatabases = createDatabases;
  }

  async open({ name }: OpenRequest): Promise<Answer> {
    this.#mustLead();
    if (this.#session !== undefined) throw new FailureError(FAILURE.databaseAlreadyOpen);
    if (this.#createDatabases) await this.#node.createDatabase(name, false, LIMITS.requestMsDefault);
    else await this.#node.describeDatabase(name);
    this.#session = new Session(this.#node, name);
    return respond({ kind: "database", databaseId: DATABASE_ID });
  }

  async prepare({ schema, databaseId, sql }: PrepareRequest, signal: CancelSignal): Promise<Answer> {
    const session = this.#sessionOf(databaseId);
    const { statement, hasTail } = onlyStatement(sql);
    if (hasTail && schema === 0) throw new FailureError(FAILURE.statementTail);
    await session.check(statement, signal);
    const { parameterCount } = statement;
    const answer = {
      kind: "statement",
      databaseId: DATABASE_ID,
      statementId: this.#statements.add(statement),
      parameterCount,
    } as const;
    if (schema === 0) return respond(answer);
    return respond({ ...answer, tailOffset: UTF8.encode(sql.slice(0, statement.end)).byteLength });
  }

  finalize({ databaseId, statementId }: FinalizeRequest): Answer {
    if (this.#session === undefined || databaseId !== DATABASE_ID) {
      throw new FailureError(FAILURE.databaseNotOpen);
    }
    this.#statements.remove(statementId);
    return EMPTY;
  }

  exec(request: ExecRequest, signal: CancelSignal): Promise<Answer> {
    const session = this.#sessionOf(request.databaseId);
    const statement = this.#statements.get(request.statementId);
    return this.#runForResult(session, [statement], request.parameters, signal);
  }

  execSql({ databaseId, sql, parameters }: ExecSqlRequest, signal: CancelSignal): Promise<Answer> {
    const session = this.#sessionOf(databaseId);
    return this.#runForResult(session, statementsOf(sql), parameters, signal);
  }

  query(request: QueryRequest, signal: CancelSignal): Answer | Promise<Answer> {
    const session = this.#sessionOf(request.databaseId);
    const statement = this.#statements.get(request.statementId);
    return this.#runForRows(session, statement, request.parameters, signal);
  }

  querySql(
    { databaseId, sql, parameters }: QuerySqlRequest,
    signal: CancelSignal,
  ): Answer | Promise<Answer> {
    const session = this.#sessionOf(databaseId);
    const { statement, hasTail } = onlyStatement(sql);
    if (hasTail) throw new FailureError(FAILURE.statementTail);
    return this.#runForRows(session, statement, parameters, signal);
  }

  /** The connection is gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#session?.close();
  }

  /** Statements run one after the other; those before one that fails stay. Each takes its share of the parameters. */
  async #runForResult(
    session: Session,
    statements: Iterable<SqlStatement>,
    tuple: Tuple,
    signal: CancelSignal,
  ): Promise<Answer> {
    const parameters = parametersOf(tuple);
    let changes = 0;
    let taken = 0;
    let hasCommitted = false;
    for (const statement of statements) {
      if (this.#isClosed) break;
      const own = parametersFor(statement, parameters.slice(taken));
      taken += statement.parameterCount;
      const fields = await session.run(statement, own, signal).catch((error) => {
        throw hasCommitted ? notRepeatable(error) : error;
      });
      hasCommitted ||= statement.kind === "commit" ||
        (statement.kind === "write" && !session.isInTransaction);
      const answer = new AnswerReader(fields);
      if (statement.kind === "read" && answer.rowCount > 0) throw new FailureError(FAILURE.rowsFromExec);
      changes = answer.changes ?? 0;
      this.#lastInsertRowid = answer.lastInsertRowid || this.#lastInsertRowid;
    }
    return respond({ kind: "result", lastInsertRowid: this.#lastInsertRowid, changes });
  }

  #runForRows(
    session: Session,
    statement: SqlStatement,
    tuple: Tuple,
    signal: CancelSignal,
  ): Answer | Promise<Answer> {
    const given = parametersOf(tuple);
    if (given.length > statement.parameterCount) throw new FailureError(FAILURE.parametersRefused);
    const parameters = parametersFor(statement, given);
    const rows = this.#rows.clear();
    if (session.queryNow(statement, parameters, rows)) return { kind: "message", bytes: rows.message() };
    return this.#waitForRows(session, statement, parameters, signal);
  }

  async #waitForRows(
    session: Session,
    statement: SqlStatement,
    parameters: readonly SqlParameter[],
    signal: CancelSignal,
  ): Promise<Answer> {
    const rows = this.#rows.clear();
    const fields = await session.run(statement, parameters, signal, rows);
    if (fields?.count === 0) return { kind: "message", bytes: rows.message() };
    rows.clear();
    return { kind: "parts", parts: new AnswerReader(fields).parts(), bytes: fields?.bytes.byteLength ?? 0 };
  }

  /** In the order of dqlite: who does not lead says so, whatever else is wrong. */
  #sessionOf(databaseId: Unsigned): Session {
    if (this.#session?.isInTransaction !== true) this.#mustLead();
    if (this.#session === undefined || databaseId !== DATABASE_ID) {
      throw new FailureError(FAILURE.databaseNotOpen);
    }
    return this.#session;
  }

  #mustLead(): void {
    if (!this.#node.leads()) throw new NodeError("not_leader", "Cannot run SQL: this node does not lead");
  }
}

/** A client that sends the whole text again would run a second time what is committed. */
function notRepeatable(error: unknown): unknown {
  const { code, message } = failureOf(error);
  if (!isRepeatedByClients(code)) return error;
  return new FailureError({
    code: FailureCode.commitUnknown,
    message: `${message}, after earlier statements of the text were committed`,
  });
}

function onlyStatement(sql: string): { statement: SqlStatement; hasTail: boolean } {
  const statements = statementsOf(sql);
  const first = statements.next();
  if (first.done) throw new FailureError(FAILURE.statementEmpty);
  return { statement: first.value, hasTail: !statements.next().done };
}

/** As many as the statement has: what is missing is NULL, what is too much is left. */
function parametersFor(
  { parameterCount }: SqlStatement,
  given: readonly SqlParameter[],
): readonly SqlParameter[] {
  if (parameterCount > LIMITS.parametersPerStatementMax) throw new FailureError(FAILURE.parametersRefused);
  if (given.length === parameterCount) return given;
  return Array.from({ length: parameterCount }, (_, index) => given[index] ?? null);
}
