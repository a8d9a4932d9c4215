import { DATABASE_NAME_PATTERN, LIMITS } from "../../core/base/limits.ts";
import { ERROR_CODES, type ErrorRecord, NodeError, toErrorRecord } from "../../core/base/errors.ts";
import type { CancelSignal } from "../../core/base/ports.ts";
import type { NodeService, QueryAnswer, QueryRequest } from "../../core/node/service.ts";
import type { EncodedFields, SqlParameters, Statement } from "../../core/sql/values.ts";
import { TupleWriter } from "../wire/tuple_writer.ts";
import { type Answer, respond } from "./answer.ts";
import { AnswerReader, readBatch } from "./answer_reader.ts";
import {
  CALL_VERSION,
  type CallStatement,
  type HeadResponse,
  type HelloRequest,
  type Outcome,
  type ReadRequest,
  type WriteRequest,
} from "./call.ts";
import { CallRows } from "./call_rows.ts";
import { FailureError } from "./failure.ts";
import { FAILURE } from "./failure_codes.ts";
import { parametersOf } from "./parameters.ts";
import { writeResponse } from "./response_codec.ts";

const ANSWER = { format: "msgpack", rowShape: "arrays" } as const;

/**
 * Whole calls, as over HTTP: any node takes them, and nothing of them stays on the connection. A transaction that was
 * begun on it by other requests knows nothing of them; its writer makes a write wait.
 */
export class CallRequests {
  readonly #node: NodeService;
  readonly #rows = new CallRows();
  #isGreeted = false;

  constructor(node: NodeService) {
    this.#node = node;
  }

  /** What dqlite says to a request it does not know is said to a version it could not speak, too. */
  hello({ version }: HelloRequest): Answer {
    if (version < 1) throw new FailureError(FAILURE.requestTypeUnknown);
    this.#isGreeted = true;
    return respond({ kind: "greeting", version: version < CALL_VERSION ? version : CALL_VERSION });
  }

  /** @param signal stops it */
  read(request: ReadRequest, signal: CancelSignal): Answer | Promise<Answer> {
    this.#mustBeGreeted();
    try {
      const { sql, parameters } = toStatement(request.statement);
      checkCall(request);
      const { database, timeoutMs } = request;
      const into = this.#rows.clear();
      const query = { ...ANSWER, ...levelOf(request), database, sql, parameters, timeoutMs, signal, into };
      const answer = this.#node.queryNow(query);
      return answer === undefined ? this.#wait(query) : this.#rowsOf(answer);
    } catch (error) {
      return refused(error);
    }
  }

  async #wait(query: QueryRequest): Promise<Answer> {
    try {
      return this.#rowsOf(await this.#node.query(query));
    } catch (error) {
      return refused(error);
    }
  }

  #rowsOf({ fields, index, ageMs }: QueryAnswer): Answer {
    const head = { kind: "head", index, ageMs, isReplayed: false, outcomes: 1 } as const;
    if (fields.count === 0) return this.#rows.answer(head);
    return answerOf(head, [new AnswerReader(fields)], fields);
  }

  /** Cannot be stopped: it may be in the log already. */
  async write(request: WriteRequest): Promise<Answer> {
    this.#mustBeGreeted();
    try {
      const { database, isBatch, idempotencyKey, timeoutMs } = request;
      checkCall(request);
      checkWrite(request);
      const { fields, index, replayed } = await this.#node.write({
        ...ANSWER,
        database,
        kind: isBatch ? "batch" : "execute",
        statements: request.statements.map(toStatement),
        timeoutMs,
        ...(idempotencyKey === "" ? {} : { idempotencyKey }),
      });
      const results = isBatch ? readBatch(fields) : [new AnswerReader(fields)];
      const head = { kind: "head", index, ageMs: undefined, isReplayed: replayed, outcomes: results.length };
      return answerOf(head as HeadResponse, results, fields);
    } catch (error) {
      return refused(error);
    }
  }

  /** A client that did not ask for calls is one of dqlite's, and hears what dqlite would say. */
  #mustBeGreeted(): void {
    if (!this.#isGreeted) throw new FailureError(FAILURE.requestTypeUnknown);
  }
}

/** The whole error, where a Failure would have a code of SQLite only. */
function refused(error: unknown): Answer {
  if (!(error instanceof NodeError)) throw error;
  const { retry, mayHaveCommitted } = ERROR_CODES[error.code];
  return respond({ kind: "error", error: toRecord(error), retry, mayHaveCommitted });
}

/** Without the leader: its address over HTTP is of no use here, and Leader tells the other. */
function toRecord(error: NodeError): ErrorRecord {
  const { leader: _, ...details } = error.details;
  return { ...toErrorRecord(error), details };
}

function answerOf(head: HeadResponse, results: readonly AnswerReader[], { bytes }: EncodedFields): Answer {
  return { kind: "parts", parts: partsOf(head, results), bytes: bytes.byteLength };
}

/** Statements without rows are gathered: of a batch of a thousand there are a few messages, and fewer writes. */
function* partsOf(head: HeadResponse, results: readonly AnswerReader[]): Generator<Uint8Array, undefined> {
  const writer = new TupleWriter();
  writeResponse(writer, head);
  let outcomes: Outcome[] = [];
  for (const result of results) {
    const { changes = 0, lastInsertRowid = 0, types, columns } = result;
    outcomes.push({ changes, lastInsertRowid, types });
    if (columns.length === 0 && outcomes.length < OUTCOMES_MAX) continue;
    writeResponse(writer, { kind: "outcome", outcomes });
    outcomes = [];
    for (const part of columns.length === 0 ? [] : result.parts()) {
      writer.bytes(part);
      if (writer.length >= GATHERED_BYTES) yield writer.take();
    }
  }
  if (outcomes.length > 0) writeResponse(writer, { kind: "outcome", outcomes });
  if (writer.length > 0) yield writer.take();
}

/** Small enough that copying a part behind the head costs nothing beside sending it. */
const GATHERED_BYTES = 16 * 1024;
/** In one message; 24 bytes each. */
const OUTCOMES_MAX = 512;

function toStatement({ sql, parameters, names }: CallStatement, index = 0): Statement {
  const { statementBytesMax, parametersPerStatementMax } = LIMITS;
  if (sql.length === 0 || sql.length > statementBytesMax) {
    refuse(`statements[${index}].sql`, `must have 1 to ${statementBytesMax} characters`);
  }
  if (parameters.values.length > parametersPerStatementMax) {
    refuse(`statements[${index}].params`, `must have at most ${parametersPerStatementMax} items`);
  }
  const values = parametersOf(parameters);
  if (names === undefined) return { sql, parameters: values };
  const named: SqlParameters = Object.fromEntries(names.map((name, at) => [name, values[at] ?? null]));
  return { sql, parameters: named };
}

function checkCall({ database, timeoutMs }: ReadRequest | WriteRequest): void {
  if (!DATABASE_NAME_PATTERN.test(database)) {
    refuse("database", "must be 1 to 64 letters, digits, _ . or -, not starting with . or -");
  }
  if (timeoutMs < 1 || timeoutMs > LIMITS.requestMsMax) {
    refuse("timeout_ms", `must be 1 to ${LIMITS.requestMsMax}`);
  }
}

function checkWrite({ isBatch, statements, idempotencyKey }: WriteRequest): void {
  const countMax = isBatch ? LIMITS.statementsPerBatchMax : 1;
  if (statements.length < 1 || statements.length > countMax) {
    refuse("statements", `must have ${countMax === 1 ? "one item" : `1 to ${countMax} items`}`);
  }
  if (idempotencyKey.length > LIMITS.idempotencyKeyLengthMax) {
    refuse("idempotency_key", `must have at most ${LIMITS.idempotencyKeyLengthMax} characters`);
  }
}

function levelOf({ level, at }: ReadRequest): Pick<QueryRequest, "level" | "index" | "maxAgeMs" | "asOf"> {
  switch (level) {
    case "linearizable":
    case "stale":
      return { level };
    case "stale_within":
      return { level: "stale", maxAgeMs: at };
    case "index":
      return { level, index: at };
    case "as_of_index":
      return { level: "as_of", asOf: { index: at } };
    case "as_of_time":
      return { level: "as_of", asOf: { wallMs: at } };
  }
}

function refuse(field: string, rule: string): never {
  throw new NodeError("bad_request", `Field "${field}" ${rule}`, { field });
}
