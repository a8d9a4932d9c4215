import { assertNever } from "../../core/base/assert.ts";
import { readParameters, writeParameters } from "../wire/tuple.ts";
import { TupleReader } from "../wire/tuple_reader.ts";
import type { TupleWriter } from "../wire/tuple_writer.ts";
import { readRead, readWrite, writeRead, writeWrite } from "./call_codec.ts";
import { FailureError } from "./failure.ts";
import { FAILURE } from "./failure_codes.ts";
import { beginFrame, endFrame, type Frame } from "./frame.ts";
import {
  type OfStatement,
  type Request,
  type RequestKind,
  RequestType,
  Role,
  type Unsigned,
} from "./request.ts";

type Schema = 0 | 1;
type Decode = (reader: TupleReader, schema: Schema) => Request;

/** What kinds have a second layout of their body. */
const TWO_SCHEMAS: ReadonlySet<RequestKind> = new Set(["prepare", "exec", "query", "exec_sql", "query_sql"]);

const DECODERS: Record<RequestKind, Decode> = {
  leader: (reader) => {
    reader.u64("the unused word");
    return { kind: "leader" };
  },
  client: (reader) => ({ kind: "client", clientId: reader.u64("the id of the client") }),
  heartbeat: (reader) => ({ kind: "heartbeat", timestamp: reader.u64("the timestamp") }),
  open: (reader) => ({
    kind: "open",
    name: reader.text("the name of the database"),
    flags: reader.u64("the flags"),
    vfs: reader.text("the name of the VFS"),
  }),
  prepare: (reader, schema) => ({ kind: "prepare", schema, ...decodeText(reader) }),
  exec: (reader, schema) => decodeBound("exec", reader, schema),
  query: (reader, schema) => decodeBound("query", reader, schema),
  finalize: (reader) => ({ kind: "finalize", ...decodeStatement(reader) }),
  exec_sql: (reader, schema) => ({
    kind: "exec_sql",
    schema,
    ...decodeText(reader),
    parameters: readParameters(reader, schema),
  }),
  query_sql: (reader, schema) => ({
    kind: "query_sql",
    schema,
    ...decodeText(reader),
    parameters: readParameters(reader, schema),
  }),
  interrupt: (reader) => ({ kind: "interrupt", databaseId: reader.u64("the id of the database") }),
  connect: (reader) => ({ kind: "connect", ...decodeNode(reader) }),
  add: (reader) => ({ kind: "add", ...decodeNode(reader) }),
  assign: (reader) => ({ kind: "assign", nodeId: decodeNodeId(reader), role: decodeRole(reader) }),
  remove: (reader) => ({ kind: "remove", nodeId: decodeNodeId(reader) }),
  dump: (reader) => ({ kind: "dump", name: reader.text("the name of the database") }),
  cluster: (reader) => {
    const format = reader.u64("the format");
    if (format !== 0 && format !== 1) throw new FailureError(FAILURE.clusterFormatUnknown);
    return { kind: "cluster", format };
  },
  transfer: (reader) => ({ kind: "transfer", nodeId: decodeNodeId(reader) }),
  describe: (reader) => {
    if (reader.u64("the format") !== 0) throw new FailureError(FAILURE.describeFormatUnknown);
    return { kind: "describe" };
  },
  weight: (reader) => ({ kind: "weight", weight: reader.u64("the weight") }),
  hello: (reader) => ({ kind: "hello", version: reader.u64("the version") }),
  read: readRead,
  write: readWrite,
};

const KINDS: ReadonlyMap<number, RequestKind> = new Map(
  (Object.keys(RequestType) as RequestKind[]).map((kind) => [RequestType[kind], kind]),
);

/**
 * Blobs among the parameters are views of the frame. Bytes behind the last field are ignored, as dqlite does, but not
 * behind parameters: there they mean that the parameters were read in the wrong form.
 *
 * @throws FailureError for a type, schema or format that is not known
 * @throws TupleError when the body does not have the layout of its type
 * @throws NodeError `body_too_large` for a call of walraft's own
 */
export function decodeRequest(frame: Frame): Request {
  const kind = KINDS.get(frame.type);
  if (kind === undefined) throw new FailureError(FAILURE.requestTypeUnknown);
  const { schema } = frame;
  const hasTwoSchemas = TWO_SCHEMAS.has(kind);
  if (schema !== 0 && !(hasTwoSchemas && schema === 1)) {
    throw new FailureError(hasTwoSchemas ? FAILURE.schemaUnknown : FAILURE.schemaMalformed);
  }
  return DECODERS[kind](new TupleReader(frame.body), schema);
}

/**
 * Writes a whole frame. What was written before stays in front of it, also when this throws.
 *
 * @throws TupleError `type` when a text holds a NUL or a parameter does not fit its type
 */
export function writeRequest(writer: TupleWriter, request: Request): void {
  const start = beginFrame(writer);
  try {
    writeBody(writer, request);
  } catch (error) {
    writer.cut(start);
    throw error;
  }
  endFrame(writer, start, RequestType[request.kind], "schema" in request ? request.schema : 0);
}

function writeBody(writer: TupleWriter, request: Request): void {
  switch (request.kind) {
    case "leader":
    case "describe":
      return writer.zeros();
    case "client":
      return writer.u64(request.clientId);
    case "heartbeat":
      return writer.u64(request.timestamp);
    case "open":
      writer.text(request.name);
      writer.u64(request.flags);
      return writer.text(request.vfs);
    case "prepare":
      writer.u64(request.databaseId);
      return writer.text(request.sql);
    case "exec":
    case "query":
    case "finalize":
      writer.u32(request.databaseId);
      writer.u32(request.statementId);
      if (request.kind !== "finalize") writeParameters(writer, request.schema, request.parameters);
      return;
    case "exec_sql":
    case "query_sql":
      writer.u64(request.databaseId);
      writer.text(request.sql);
      return writeParameters(writer, request.schema, request.parameters);
    case "interrupt":
      return writer.u64(request.databaseId);
    case "connect":
    case "add":
      writer.u64(request.nodeId);
      return writer.text(request.address);
    case "assign":
      writer.u64(request.nodeId);
      return writer.u64(request.role);
    case "remove":
    case "transfer":
      return writer.u64(request.nodeId);
    case "dump":
      return writer.text(request.name);
    case "cluster":
      return writer.u64(request.format);
    case "weight":
      return writer.u64(request.weight);
    case "hello":
      return writer.u64(request.version);
    case "read":
      return writeRead(writer, request);
    case "write":
      return writeWrite(writer, request);
    default:
      assertNever(request, "request");
  }
}

function decodeText(reader: TupleReader): { databaseId: Unsigned; sql: string } {
  return { databaseId: reader.u64("the id of the database"), sql: reader.text("the text of the statement") };
}

function decodeStatement(reader: TupleReader): { databaseId: number; statementId: number } {
  return {
    databaseId: reader.u32("the id of the database"),
    statementId: reader.u32("the id of the statement"),
  };
}

/** Field by field: these are the requests that come by the ten thousand. */
function decodeBound<K extends "exec" | "query">(
  kind: K,
  reader: TupleReader,
  schema: Schema,
): OfStatement & { readonly kind: K } {
  const databaseId = reader.u32("the id of the database");
  const statementId = reader.u32("the id of the statement");
  return { kind, schema, databaseId, statementId, parameters: readParameters(reader, schema) };
}

function decodeNodeId(reader: TupleReader): Unsigned {
  return reader.u64("the id of the node");
}

function decodeNode(reader: TupleReader): { nodeId: Unsigned; address: string } {
  return { nodeId: decodeNodeId(reader), address: reader.text("the address of the node") };
}

/** The first clients sent no role and meant voter. */
function decodeRole(reader: TupleReader): Role {
  if (reader.remaining === 0) return Role.voter;
  const role = reader.u64("the role");
  if (role !== Role.voter && role !== Role.stand_by && role !== Role.spare) {
    throw new FailureError(FAILURE.roleUnknown);
  }
  return role;
}
