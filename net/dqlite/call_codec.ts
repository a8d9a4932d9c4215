/** Bodies of the calls that only walraft has. `README.md` has the byte tables. */
import type { ErrorDetails, ErrorRecord } from "../../core/base/errors.ts";
import { NodeError } from "../../core/base/errors.ts";
import { NO_PARAMETERS, readRow, type Tuple, ValueType, type WireValue, writeRow } from "../wire/tuple.ts";
import { TupleError } from "../wire/tuple_error.ts";
import type { TupleReader } from "../wire/tuple_reader.ts";
import type { TupleWriter } from "../wire/tuple_writer.ts";
import {
  CALL_BYTES_MAX,
  CallLevel,
  type CallStatement,
  type ErrorResponse,
  type HeadResponse,
  type Outcome,
  type OutcomeResponse,
  type ReadRequest,
  type WriteRequest,
} from "./call.ts";

/** A word for number and flags: what a statement takes at least. */
const STATEMENT_BYTES_MIN = 8;
/** Of a statement: its parameters have names; its SQL is that of the one before and not sent again. */
const NAMED = 1;
const SAME_SQL = 2;
const NO_AGE = 0xffff_ffff;
const AGE_MS_MAX = NO_AGE - 1;
const REPLAYED = 1;
const RETRIES = ["never", "with_key", "safe"] as const;
const LEVELS = Object.keys(CallLevel) as CallLevel[];

/** Times and unknown codes have no place among parameters. */
const PARAMETER_TYPES: ReadonlySet<number> = new Set([
  ValueType.integer,
  ValueType.float,
  ValueType.text,
  ValueType.blob,
  ValueType.null,
  ValueType.boolean,
]);

export function writeRead(writer: TupleWriter, request: ReadRequest): void {
  writer.u32(CallLevel[request.level]);
  writer.u32(request.timeoutMs);
  writer.u64(request.at);
  writer.text(request.database);
  writeStatement(writer, request.statement);
}

/** @throws TupleError, NodeError `body_too_large` */
export function readRead(reader: TupleReader): ReadRequest {
  checkBytes(reader.remaining);
  const level = LEVELS[reader.u32("the level")];
  if (level === undefined) malformed(reader, "the level", "there is no such level");
  const timeoutMs = reader.u32("the time limit");
  const request: ReadRequest = {
    kind: "read",
    level,
    timeoutMs,
    at: safe(reader, "the index or time of the level"),
    database: reader.text("the name of the database"),
    statement: readStatement(reader),
  };
  mustEnd(reader);
  return request;
}

export function writeWrite(writer: TupleWriter, request: WriteRequest): void {
  writer.u32(request.isBatch ? 1 : 0);
  writer.u32(request.timeoutMs);
  writer.text(request.database);
  writer.text(request.idempotencyKey);
  writer.u64(request.statements.length);
  let previousSql: string | undefined;
  for (const statement of request.statements) {
    writeStatement(writer, statement, previousSql);
    previousSql = statement.sql;
  }
}

/** @throws TupleError, NodeError `body_too_large` */
export function readWrite(reader: TupleReader): WriteRequest {
  checkBytes(reader.remaining);
  const isBatch = flag(reader, "whether it is a batch");
  const timeoutMs = reader.u32("the time limit");
  const database = reader.text("the name of the database");
  const idempotencyKey = reader.text("the idempotency key");
  const statements: CallStatement[] = [];
  const count = reader.count(STATEMENT_BYTES_MIN, "the number of statements");
  // A follower passes the SQL of each statement on.
  let bytes = reader.remaining;
  for (let index = 0; index < count; index++) {
    const previousSql = statements.at(-1)?.sql;
    const statement = readStatement(reader, previousSql);
    statements.push(statement);
    if (statement.sql === previousSql) bytes += statement.sql.length;
    checkBytes(bytes);
  }
  mustEnd(reader);
  return { kind: "write", isBatch, timeoutMs, database, idempotencyKey, statements };
}

function writeStatement(
  writer: TupleWriter,
  { sql, parameters, names }: CallStatement,
  previousSql?: string,
): void {
  const isSame = sql === previousSql;
  writer.u32(parameters.values.length);
  writer.u32((names === undefined ? 0 : NAMED) | (isSame ? SAME_SQL : 0));
  if (!isSame) writer.text(sql);
  for (const name of names ?? []) writer.text(name);
  if (parameters.values.length > 0) writeRow(writer, parameters);
}

function readStatement(reader: TupleReader, previousSql?: string): CallStatement {
  const count = reader.u32("the number of parameters");
  const flags = reader.u32("the flags of a statement");
  if (flags > (NAMED | SAME_SQL)) malformed(reader, "the flags of a statement", `${flags} has no meaning`);
  const sql = (flags & SAME_SQL) === 0 ? reader.text("the text of a statement") : previousSql;
  if (sql === undefined) malformed(reader, "the text of a statement", "there is none before it");
  // Each takes at least a word: an announced count costs no more than was sent.
  if (count * 8 > reader.remaining) malformed(reader, "parameters", `${count} are more than the bytes left`);
  const names = (flags & NAMED) !== 0
    ? Array.from({ length: count }, () => reader.text("the name of a parameter"))
    : undefined;
  const parameters = count === 0 ? NO_PARAMETERS : readTuple(reader, count);
  return names === undefined ? { sql, parameters } : { sql, parameters, names };
}

function readTuple(reader: TupleReader, count: number): Tuple {
  const types = new Uint8Array(count);
  const values: WireValue[] = [];
  if (readRow(reader, count, types, values) !== "row") {
    malformed(reader, "parameters", "an end marker stands there");
  }
  const wrong = types.findIndex((type) => !PARAMETER_TYPES.has(type));
  if (wrong >= 0) {
    const text = `Cannot take parameter ${wrong + 1}: type ${types[wrong]} is for rows only`;
    throw new TupleError(text, reader.offset, "type");
  }
  return { types, values };
}

export function writeHead(writer: TupleWriter, { index, ageMs, isReplayed, outcomes }: HeadResponse): void {
  writer.u64(index);
  writer.u32(ageMs === undefined ? NO_AGE : Math.min(AGE_MS_MAX, Math.max(0, Math.round(ageMs))));
  writer.u32(isReplayed ? REPLAYED : 0);
  writer.u64(outcomes);
}

export function readHead(reader: TupleReader): HeadResponse {
  const index = safe(reader, "the index");
  const age = reader.u32("the age");
  const isReplayed = flag(reader, "whether the answer is an old one");
  const outcomes = safe(reader, "the number of outcomes");
  mustEnd(reader);
  return { kind: "head", index, ageMs: age === NO_AGE ? undefined : age, isReplayed, outcomes };
}

export function writeOutcome(writer: TupleWriter, { outcomes }: OutcomeResponse): void {
  for (const { changes, lastInsertRowid, types } of outcomes) {
    writer.i64(lastInsertRowid);
    writer.u64(changes);
    writer.u64(types.length);
    for (const type of types) writer.text(type);
  }
}

export function readOutcome(reader: TupleReader): OutcomeResponse {
  const outcomes: Outcome[] = [];
  do {
    const lastInsertRowid = reader.i64("the last rowid");
    const changes = safe(reader, "the number of changes");
    const count = reader.count(8, "the number of columns");
    const types = count === 0 ? [] : Array.from({ length: count }, () => reader.text("the type of a column"));
    outcomes.push({ changes, lastInsertRowid, types });
    // Its rows come first.
    if (count > 0) mustEnd(reader);
  } while (reader.remaining > 0);
  return { kind: "outcome", outcomes };
}

export function writeError(writer: TupleWriter, { error, retry, mayHaveCommitted }: ErrorResponse): void {
  writer.u32(RETRIES.indexOf(retry));
  writer.u32(mayHaveCommitted ? 1 : 0);
  writer.text(error.code);
  writer.text(error.message.replaceAll("\0", "\ufffd"));
  // A NUL in it is escaped.
  writer.text(JSON.stringify(error.details));
}

export function readError(reader: TupleReader): ErrorResponse {
  const retry = RETRIES[reader.u32("what may be repeated")];
  if (retry === undefined) malformed(reader, "what may be repeated", "there is no such word");
  const mayHaveCommitted = flag(reader, "whether it may have happened");
  // A newer server may have codes that are not in the list of this one.
  const code = reader.text("the code") as ErrorRecord["code"];
  const message = reader.text("the message");
  const details = readDetails(reader);
  mustEnd(reader);
  return { kind: "error", error: { code, message, details }, retry, mayHaveCommitted };
}

function readDetails(reader: TupleReader): ErrorDetails {
  const text = reader.text("the details");
  try {
    const details: unknown = JSON.parse(text);
    if (typeof details === "object" && details !== null && !Array.isArray(details)) return details;
  } catch {
    // Said below.
  }
  malformed(reader, "the details", "they are not an object in JSON");
}

function flag(reader: TupleReader, field: string): boolean {
  const value = reader.u32(field);
  if (value > 1) malformed(reader, field, `${value} is neither 0 nor 1`);
  return value === 1;
}

function safe(reader: TupleReader, field: string): number {
  const value = reader.u64(field);
  if (typeof value === "bigint") malformed(reader, field, `${value} is beyond 2^53`);
  return value;
}

/** The requests are walraft's own: nothing behind the last field can be meant for an older server. */
function mustEnd(reader: TupleReader): void {
  if (reader.remaining !== 0) malformed(reader, "the end", `${reader.remaining} bytes are left`);
}

function checkBytes(bytes: number): void {
  if (bytes <= CALL_BYTES_MAX) return;
  throw new NodeError("body_too_large", `Cannot take a call of ${bytes} bytes: send smaller batches`, {
    limit: { name: "requestBodyBytesMax", value: CALL_BYTES_MAX },
  });
}

function malformed({ offset }: TupleReader, field: string, reason: string): never {
  throw new TupleError(`Cannot read ${field} before offset ${offset}: ${reason}`, offset);
}
