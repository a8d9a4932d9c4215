/**
 * The dqlite client protocol, byte by byte. `v1/dqlite_captured.hex` was recorded between dqlite 1.11.1 and 1.18.6 and
 * their clients: what is sent must be the same, and must be understood. `v1/dqlite_all.hex` has at least one frame of
 * every type and schema as walraft sends it.
 * `deno test -A tests/formats/dqlite_formats_test.ts -- --update` writes missing lines to the second.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mustHave } from "../../core/base/assert.ts";
import { encodeFilesHeads } from "../../net/dqlite/files_head.ts";
import type { Frame } from "../../net/dqlite/frame.ts";
import { FrameReader } from "../../net/dqlite/frame_reader.ts";
import { tupleOf } from "../../net/dqlite/parameters.ts";
import { type Request, RequestType } from "../../net/dqlite/request.ts";
import { decodeRequest, writeRequest } from "../../net/dqlite/request_codec.ts";
import { type Response, ResponseType } from "../../net/dqlite/response.ts";
import { decodeResponse, writeResponse } from "../../net/dqlite/response_codec.ts";
import {
  readParameters,
  readRow,
  type Tuple,
  ValueType,
  writeParameters,
  writeRow,
} from "../../net/wire/tuple.ts";
import { declaredTypeOf, StorageClass, wireTypeOf } from "../../net/wire/tuple_declared_type.ts";
import { TupleReader } from "../../net/wire/tuple_reader.ts";
import { TupleWriter } from "../../net/wire/tuple_writer.ts";
import { encodeRows } from "../support/encode_rows.ts";

type Messages = Readonly<Record<string, Request | Response>>;

const insertSql = "INSERT INTO t(s,f,b,dt,bo) VALUES(?,?,?,?,?)";
const insertParameters: Tuple = {
  types: [ValueType.text, ValueType.float, ValueType.blob, ValueType.iso8601, ValueType.boolean],
  values: ["hello", 1.5, new Uint8Array([1, 2, 3]), "2024-01-02 03:04:05+00:00", true],
};
const none = tupleOf([]);

const CAPTURED: Messages = {
  request_leader: { kind: "leader" },
  response_node: { kind: "node", nodeId: 1, address: "127.0.0.1:19102" },
  response_node_none: { kind: "node", nodeId: 0, address: "" },
  response_node_legacy: { kind: "node_legacy", address: "127.0.0.1:19102" },
  request_client: { kind: "client", clientId: 0 },
  response_welcome: { kind: "welcome", heartbeatTimeoutMs: 15_000 },
  request_open: { kind: "open", name: "test.db", flags: 0, vfs: "volatile" },
  response_database: { kind: "database", databaseId: 0 },
  request_exec_sql: {
    kind: "exec_sql",
    schema: 0,
    databaseId: 0,
    sql: insertSql,
    parameters: insertParameters,
  },
  response_result: { kind: "result", lastInsertRowid: 1, changes: 1 },
  request_query_sql: {
    kind: "query_sql",
    schema: 0,
    databaseId: 0,
    sql: "SELECT 1 AS i, NULL AS n, 'abc' AS t, -2.5 AS f, x'0a0b0c' AS b, '' AS e, x'' AS z",
    parameters: none,
  },
  response_rows: {
    kind: "rows",
    columns: ["i", "n", "t", "f", "b", "e", "z"],
    rows: [tupleOf([1, null, "abc", -2.5, new Uint8Array([10, 11, 12]), "", new Uint8Array(0)])],
    isLast: true,
  },
  response_rows_none: { kind: "rows", columns: ["i", "s"], rows: [], isLast: true },
  response_rows_of_insert: { kind: "rows", columns: [], rows: [], isLast: true },
  request_prepare: { kind: "prepare", schema: 0, databaseId: 0, sql: "SELECT s FROM t WHERE i=?" },
  response_statement: { kind: "statement", databaseId: 0, statementId: 0, parameterCount: 1 },
  response_statement_with_tail: {
    kind: "statement",
    databaseId: 0,
    statementId: 0,
    parameterCount: 0,
    tailOffset: 9,
  },
  request_query: { kind: "query", schema: 0, databaseId: 0, statementId: 0, parameters: tupleOf([1]) },
  request_finalize: { kind: "finalize", databaseId: 0, statementId: 0 },
  response_empty: { kind: "empty" },
  request_interrupt: { kind: "interrupt", databaseId: 0 },
  response_failure_not_leader: { kind: "failure", code: 10_250, message: "not leader" },
  response_failure_leadership_lost: { kind: "failure", code: 10_506, message: "leadership lost" },
  response_failure_constraint: {
    kind: "failure",
    code: 1_555,
    message: "UNIQUE constraint failed: t.i",
  },
  request_add: { kind: "add", nodeId: 2, address: "127.0.0.1:19121" },
  request_assign_voter: { kind: "assign", nodeId: 2, role: 0 },
  request_assign_stand_by: { kind: "assign", nodeId: 3, role: 1 },
  request_remove: { kind: "remove", nodeId: 3 },
  request_transfer: { kind: "transfer", nodeId: 2 },
  request_cluster: { kind: "cluster", format: 1 },
  response_nodes: {
    kind: "nodes",
    format: 1,
    nodes: [
      { nodeId: 1, address: "127.0.0.1:19120", role: 0 },
      { nodeId: 2, address: "127.0.0.1:19121", role: 0 },
      { nodeId: 3, address: "127.0.0.1:19122", role: 1 },
    ],
  },
  request_describe: { kind: "describe" },
  response_metadata: { kind: "metadata", failureDomain: 0, weight: 7 },
  request_weight: { kind: "weight", weight: 7 },
  request_dump: { kind: "dump", name: "test.db" },
};

/** What the captured ones leave out. */
const OTHERS: Messages = {
  request_heartbeat: { kind: "heartbeat", timestamp: 1_700_000_000_000 },
  request_connect: { kind: "connect", nodeId: 0x2dc171858c3155ben, address: "127.0.0.1:9000" },
  request_prepare_1: { kind: "prepare", schema: 1, databaseId: 0, sql: "SELECT 1; SELECT 2" },
  request_exec: { kind: "exec", schema: 0, databaseId: 0, statementId: 7, parameters: none },
  request_exec_1: { kind: "exec", schema: 1, databaseId: 0, statementId: 7, parameters: insertParameters },
  request_query_1: { kind: "query", schema: 1, databaseId: 0, statementId: 7, parameters: tupleOf([null]) },
  request_exec_sql_1: {
    kind: "exec_sql",
    schema: 1,
    databaseId: 0,
    sql: insertSql,
    parameters: insertParameters,
  },
  request_query_sql_1: {
    kind: "query_sql",
    schema: 1,
    databaseId: 0,
    sql: "SELECT ?",
    parameters: tupleOf([2n ** 63n - 1n]),
  },
  request_cluster_0: { kind: "cluster", format: 0 },
  response_failure_commit_unknown: { kind: "failure", code: 51_210, message: "Cannot say" },
  response_result_negative: { kind: "result", lastInsertRowid: -(2n ** 63n), changes: 0 },
  response_rows_more: {
    kind: "rows",
    columns: Array.from({ length: 17 }, (_, index) => `column ${index}`),
    rows: [{
      types: [...Array(15).fill(ValueType.null), ValueType.unixTime, ValueType.boolean],
      values: [...Array(15).fill(null), -1, false],
    }],
    isLast: false,
  },
  response_files: {
    kind: "files",
    files: [{ name: "a.db", content: new Uint8Array(16).fill(7) }, {
      name: "a.db-wal",
      content: new Uint8Array(0),
    }],
  },
  request_hello: { kind: "hello", version: 1 },
  request_read: {
    kind: "read",
    level: "index",
    timeoutMs: 30_000,
    at: 41,
    database: "main",
    statement: { sql: "SELECT :a, $b", parameters: tupleOf([1, "x"]), names: ["a", "b"] },
  },
  request_write: {
    kind: "write",
    isBatch: true,
    timeoutMs: 1_000,
    database: "main",
    idempotencyKey: "order 7",
    statements: [{ sql: "DELETE FROM t", parameters: none }, {
      sql: "INSERT INTO t VALUES (?, ?)",
      parameters: tupleOf([{ real: 3 }, null]),
    }, {
      sql: "INSERT INTO t VALUES (?, ?)",
      parameters: tupleOf([4, "again"]),
    }],
  },
  response_greeting: { kind: "greeting", version: 1 },
  response_head: { kind: "head", index: 41, ageMs: 12, isReplayed: false, outcomes: 1 },
  response_head_of_write: { kind: "head", index: 42, ageMs: undefined, isReplayed: true, outcomes: 2 },
  response_outcome: {
    kind: "outcome",
    outcomes: [{ changes: 2, lastInsertRowid: -1, types: [] }, {
      changes: 1,
      lastInsertRowid: 7,
      types: ["integer", "null"],
    }],
  },
  response_error: {
    kind: "error",
    error: { code: "commit_unknown", message: "Cannot say", details: { leader: "127.0.0.1:4001" } },
    retry: "with_key",
    mayHaveCommitted: true,
  },
};

const urlOf = (file: string) => new URL(`v1/${file}`, import.meta.url);

function encode(message: Request | Response): string {
  const writer = new TupleWriter();
  // Requests and answers have no kind in common.
  if (message.kind in RequestType) writeRequest(writer, message as Request);
  else writeResponse(writer, message as Response);
  return writer.take().toHex();
}

function frameOf(hex: string): Frame {
  const reader = new FrameReader();
  reader.push(Uint8Array.fromHex(hex));
  const frame = mustHave(reader.next(), "a frame");
  equal(reader.isMidFrame, false);
  return frame;
}

/** Lines of `name hex`. */
function readGolden(file: string): Map<string, string> {
  const lines = Deno.readTextFileSync(urlOf(file)).trim().split("\n");
  return new Map(lines.map((line) => {
    const [name, hex] = line.split(" ");
    return [mustHave(name, "name"), mustHave(hex, "hex")];
  }));
}

/** Adds what is missing; a line that is there is never changed. */
function addMissing(file: string, messages: Messages): void {
  let lines = new Map<string, string>();
  try {
    lines = readGolden(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  for (const [name, message] of Object.entries(messages)) {
    if (!lines.has(name)) lines.set(name, encode(message));
  }
  Deno.writeTextFileSync(urlOf(file), [...lines].map(([name, hex]) => `${name} ${hex}\n`).join(""));
}

/** Values as plain data: what is read has views, and lists of types of another kind. */
const plain = (value: unknown) =>
  JSON.stringify(value, (_, each) => {
    if (each instanceof Uint8Array) return [...each];
    return typeof each === "bigint" ? `${each}n` : each;
  });

if (Deno.args.includes("--update")) addMissing("dqlite_all.hex", OTHERS);

for (const [file, messages] of [["dqlite_captured.hex", CAPTURED], ["dqlite_all.hex", OTHERS]] as const) {
  Deno.test(`dqlite protocol: ${file} is what is sent`, () => {
    const lines = readGolden(file);
    deepEqual(Object.keys(messages), [...lines.keys()]);
    for (const [name, message] of Object.entries(messages)) equal(encode(message), lines.get(name), name);
  });

  Deno.test(`dqlite protocol: ${file} is understood`, () => {
    for (const [name, hex] of readGolden(file)) {
      const version = name === "response_node_legacy" ? "legacy" : "one";
      const frame = frameOf(hex);
      const decoded = name.startsWith("request_")
        ? decodeRequest(frame)
        : decodeResponse(frame, { version, clusterFormat: 1 });
      equal(plain(decoded), plain(messages[name]), name);
    }
  });
}

Deno.test("dqlite protocol: every type and schema has a golden frame", () => {
  const seen = { request: new Set<string>(), response: new Set<string>() };
  for (const file of ["dqlite_captured.hex", "dqlite_all.hex"]) {
    for (const [name, hex] of readGolden(file)) {
      const { type, schema } = frameOf(hex);
      seen[name.startsWith("request_") ? "request" : "response"].add(`${type}.${schema}`);
    }
  }
  for (const type of Object.values(RequestType)) ok(seen.request.has(`${type}.0`), `request ${type}`);
  for (const type of [4, 5, 6, 8, 9]) ok(seen.request.has(`${type}.1`), `request ${type}, schema 1`);
  for (const type of Object.values(ResponseType)) ok(seen.response.has(`${type}.0`), `response ${type}`);
  ok(seen.response.has("5.1"), "response 5, schema 1");
});

function rowHex(tuple: Tuple): string {
  const writer = new TupleWriter();
  writeRow(writer, tuple);
  return writer.take().toHex();
}

function parametersHex(form: 0 | 1, tuple: Tuple): string {
  const writer = new TupleWriter();
  writeParameters(writer, form, tuple);
  return writer.take().toHex();
}

Deno.test("dqlite protocol: captured headers of tuples", () => {
  const integers = (count: number): Tuple => tupleOf(Array(count).fill(1));
  ok(parametersHex(0, integers(8)).startsWith("08010101010101010100000000000000" + "0100000000000000"));
  ok(parametersHex(1, integers(5)).startsWith("0500000001010101" + "0100000000000000" + "0100000000000000"));
  equal(parametersHex(1, tupleOf(["wide"])), "0100000003000000" + "7769646500000000");
  deepEqual(
    readParameters(new TupleReader(Uint8Array.fromHex("0100000003000000" + "7769646500000000")), 1).values,
    [
      "wide",
    ],
  );
});

Deno.test("dqlite protocol: a captured row with a time, and NULL as dqlite sends it in columns of times and booleans", () => {
  const hex = "5145b90000000000" + "0200000000000000" + "00".repeat(24) + "00f1536500000000" + "00".repeat(8);
  const captured: Tuple = {
    types: [1, 5, 5, 4, 9, 11],
    values: [2, null, null, new Uint8Array(0), 1_700_000_000, false],
  };
  equal(rowHex(captured), hex);
  const types = new Uint8Array(6);
  const values: Tuple["values"][number][] = [];
  equal(readRow(new TupleReader(Uint8Array.fromHex(hex)), 6, types, values), "row");
  equal(plain({ types: [...types], values }), plain(captured));
  const nullTime: Tuple = { types: [1, 3, 5, 5, 10, 11], values: [1, "", null, null, "", false] };
  ok(rowHex(nullTime).startsWith("3155ba0000000000"));
});

Deno.test("dqlite protocol: types of a captured row follow from storage classes and declared types, but NULL is NULL", () => {
  const { integer, blob } = StorageClass;
  const declared = ["INTEGER", "TEXT", "FLOAT", "BLOB", "DATETIME", "BOOLEAN"].map(declaredTypeOf);
  const classes = [integer, StorageClass.null, StorageClass.null, blob, integer, StorageClass.null];
  const types = classes.map((each, column) =>
    wireTypeOf(each, mustHave(declared[column], "a declared type"))
  );
  deepEqual(types, [1, 5, 5, 4, 9, 5]);
});

/** A declared type with which a column is sent as this type. */
function declaredTypeBehind(type: number | undefined): string | undefined {
  if (type === ValueType.boolean) return "BOOLEAN";
  return type === ValueType.unixTime || type === ValueType.iso8601 ? "DATETIME" : undefined;
}

Deno.test("dqlite protocol: RowsEncoder sends the captured results", () => {
  const lines = readGolden("dqlite_captured.hex");
  for (const name of ["response_rows", "response_rows_none", "response_rows_of_insert"]) {
    const response = mustHave(CAPTURED[name], name);
    ok(response.kind === "rows");
    const columns = response.columns.map((column, index) => ({
      name: column,
      declaredType: declaredTypeBehind(response.rows[0]?.types[index]),
    }));
    deepEqual(encodeRows(columns, response.rows).map((part) => part.toHex()), [lines.get(name)], name);
  }
});

Deno.test("dqlite protocol: captured heads of the two files of a dump", () => {
  const heads = encodeFilesHeads([{ name: "test.db", bytes: 4_096 }, { name: "test.db-wal", bytes: 8_272 }]);
  deepEqual(heads.map((head) => head.toHex()), [
    "1006000009000000" + "0200000000000000" + "746573742e646200" + "0010000000000000",
    "746573742e64622d77616c0000000000" + "5020000000000000",
  ]);
});
