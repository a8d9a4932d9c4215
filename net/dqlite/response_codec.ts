import { assert, assertNever } from "../../core/base/assert.ts";
import { EndMarker, readRow, type Tuple, type WireValue, writeEndMarker, writeRow } from "../wire/tuple.ts";
import { TupleError } from "../wire/tuple_error.ts";
import { TupleReader } from "../wire/tuple_reader.ts";
import type { TupleWriter } from "../wire/tuple_writer.ts";
import { readError, readHead, readOutcome, writeError, writeHead, writeOutcome } from "./call_codec.ts";
import { beginFrame, endFrame, type Frame } from "./frame.ts";
import type { ProtocolVersion } from "./handshake.ts";
import { Role } from "./request.ts";
import {
  type FilesResponse,
  type NodeDescription,
  type NodesResponse,
  type Response,
  ResponseType,
  type RowsResponse,
} from "./response.ts";

/** What the bytes of an answer alone do not say. */
export interface ResponseContext {
  /** Of the connection. */
  readonly version: ProtocolVersion;
  /** Of the request, when it was `cluster`. */
  readonly clusterFormat: 0 | 1;
}

const CURRENT: ResponseContext = { version: "one", clusterFormat: 1 };

/**
 * Writes a whole frame. What was written before stays in front of it, also when this throws.
 *
 * @throws TupleError `type` when a value cannot be sent under its type
 */
export function writeResponse(writer: TupleWriter, response: Response): void {
  const start = beginFrame(writer);
  try {
    writeBody(writer, response);
  } catch (error) {
    writer.cut(start);
    throw error;
  }
  const hasTail = response.kind === "statement" && response.tailOffset !== undefined;
  endFrame(writer, start, ResponseType[response.kind], hasTail ? 1 : 0);
}

/** Text that comes from outside and must not make an answer impossible: a NUL would end it early. */
export function writeTextWithoutNul(writer: TupleWriter, text: string): void {
  writer.text(text.includes("\0") ? text.replaceAll("\0", "\ufffd") : text);
}

/** The beginning of every part of a result. */
export function writeColumns(writer: TupleWriter, columns: readonly string[]): void {
  writer.u64(columns.length);
  for (const column of columns) writeTextWithoutNul(writer, column);
}

function writeBody(writer: TupleWriter, response: Response): void {
  switch (response.kind) {
    case "failure":
      writer.u64(response.code);
      return writeTextWithoutNul(writer, response.message);
    case "node":
      writer.u64(response.nodeId);
      return writer.text(response.address);
    case "node_legacy":
      return writer.text(response.address);
    case "welcome":
      return writer.u64(response.heartbeatTimeoutMs);
    case "nodes":
      return writeNodes(writer, response);
    case "database":
      writer.u32(response.databaseId);
      return writer.u32(0);
    case "statement":
      writer.u32(response.databaseId);
      writer.u32(response.statementId);
      writer.u64(response.parameterCount);
      if (response.tailOffset !== undefined) writer.u64(response.tailOffset);
      return;
    case "result":
      writer.i64(response.lastInsertRowid);
      return writer.u64(response.changes);
    case "rows":
      return writeRows(writer, response);
    case "empty":
      return writer.zeros();
    case "files":
      return writeFiles(writer, response);
    case "metadata":
      writer.u64(response.failureDomain);
      return writer.u64(response.weight);
    case "greeting":
      return writer.u64(response.version);
    case "head":
      return writeHead(writer, response);
    case "outcome":
      return writeOutcome(writer, response);
    case "error":
      return writeError(writer, response);
    default:
      assertNever(response, "response");
  }
}

function writeNodes(writer: TupleWriter, { format, nodes }: NodesResponse): void {
  writer.u64(nodes.length);
  for (const { nodeId, address, role } of nodes) {
    writer.u64(nodeId);
    writer.text(address);
    if (format === 1) writer.u64(role);
  }
}

function writeRows(writer: TupleWriter, { columns, rows, isLast }: RowsResponse): void {
  writeColumns(writer, columns);
  for (const row of rows) {
    assert(row.values.length === columns.length && columns.length > 0, "A row has a value for each column");
    writeRow(writer, row);
  }
  writeEndMarker(writer, isLast ? EndMarker.done : EndMarker.more);
}

function writeFiles(writer: TupleWriter, { files }: FilesResponse): void {
  writer.u64(files.length);
  for (const { name, content } of files) {
    assert(content.byteLength % 8 === 0, () => `${name} has ${content.byteLength} bytes, not whole words`);
    writer.text(name);
    writer.u64(content.byteLength);
    writer.bytes(content);
  }
}

/**
 * Blobs and contents of files are views of the frame.
 *
 * @throws TupleError when the body does not have the layout of its type
 */
export function decodeResponse(frame: Frame, context: ResponseContext = CURRENT): Response {
  const reader = new TupleReader(frame.body);
  switch (frame.type) {
    case ResponseType.failure:
      return { kind: "failure", code: Number(reader.u64("the code")), message: reader.text("the message") };
    case ResponseType.node:
      if (context.version === "legacy") return { kind: "node_legacy", address: reader.text("the address") };
      return { kind: "node", nodeId: reader.u64("the id of the node"), address: reader.text("the address") };
    case ResponseType.welcome:
      return { kind: "welcome", heartbeatTimeoutMs: Number(reader.u64("the timeout")) };
    case ResponseType.nodes:
      return readNodes(reader, context.clusterFormat);
    case ResponseType.database:
      return { kind: "database", databaseId: reader.u32("the id of the database") };
    case ResponseType.statement:
      return {
        kind: "statement",
        databaseId: reader.u32("the id of the database"),
        statementId: reader.u32("the id of the statement"),
        parameterCount: Number(reader.u64("the number of parameters")),
        ...(frame.schema === 0 ? {} : { tailOffset: Number(reader.u64("the offset of the tail")) }),
      };
    case ResponseType.result:
      return {
        kind: "result",
        lastInsertRowid: reader.i64("the last rowid"),
        changes: Number(reader.u64("the number of changes")),
      };
    case ResponseType.rows:
      return readRows(reader);
    case ResponseType.empty:
      return { kind: "empty" };
    case ResponseType.files:
      return readFiles(reader);
    case ResponseType.metadata:
      return {
        kind: "metadata",
        failureDomain: reader.u64("the failure domain"),
        weight: reader.u64("the weight"),
      };
    case ResponseType.greeting:
      return { kind: "greeting", version: reader.u64("the version") };
    case ResponseType.head:
      return readHead(reader);
    case ResponseType.outcome:
      return readOutcome(reader);
    case ResponseType.error:
      return readError(reader);
    default:
      throw new TupleError(`Cannot read an answer: there is no type ${frame.type}`, 0);
  }
}

function readNodes(reader: TupleReader, format: 0 | 1): NodesResponse {
  const count = reader.count(16, "the number of nodes");
  const nodes: NodeDescription[] = [];
  for (let index = 0; index < count; index++) {
    const nodeId = reader.u64("the id of a node");
    const address = reader.text("the address of a node");
    nodes.push({ nodeId, address, role: format === 0 ? Role.voter : readRole(reader) });
  }
  return { kind: "nodes", format, nodes };
}

function readRole(reader: TupleReader): Role {
  const { offset } = reader;
  const role = reader.u64("the role of a node");
  if (role === Role.voter || role === Role.stand_by || role === Role.spare) return role;
  throw new TupleError(
    `Cannot read the role of a node at offset ${offset}: there is no role ${role}`,
    offset,
  );
}

function readRows(reader: TupleReader): RowsResponse {
  const columnCount = reader.count(8, "the number of columns");
  const columns: string[] = [];
  for (let column = 0; column < columnCount; column++) columns.push(reader.text("the name of a column"));
  const rows: Tuple[] = [];
  for (;;) {
    // The bytes left hold a word a column, or the row is refused at its header, before these are large.
    const types = new Uint8Array(columnCount);
    const values: WireValue[] = [];
    const read = readRow(reader, columnCount, types, values);
    if (read === "row") {
      rows.push({ types, values });
      continue;
    }
    if (reader.remaining !== 0) {
      const text = `Cannot read rows: ${reader.remaining} bytes are left after the end marker`;
      throw new TupleError(text, reader.offset);
    }
    return { kind: "rows", columns, rows, isLast: read === "done" };
  }
}

function readFiles(reader: TupleReader): FilesResponse {
  const count = reader.count(16, "the number of files");
  const files: { name: string; content: Uint8Array }[] = [];
  for (let index = 0; index < count; index++) {
    const name = reader.text("the name of a file");
    const bytes = reader.count(1, "the size of a file");
    files.push({ name, content: reader.bytes(bytes, "the content of a file") });
  }
  return { kind: "files", files };
}
