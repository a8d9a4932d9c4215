import assert from "node:assert/strict";
import { decode } from "@msgpack/msgpack";
import { LIMITS } from "../base/limits.ts";
import { batchJob, codeOf, decodeJson, errorOf, job, SqlDatabase } from "../../tests/support/sql_database.ts";
import { hashRequest } from "./request_hash.ts";
import type { SqlParameters } from "./values.ts";

async function openTable(options: ConstructorParameters<typeof SqlDatabase>[0] = {}): Promise<SqlDatabase> {
  const database = await SqlDatabase.open(options);
  database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
  return database;
}

const INSERT = "INSERT INTO t(v) VALUES (?) RETURNING id, v, 2.0 AS r";

Deno.test("a repeat gives the first answer and writes nothing, in a new session too (promise 5)", async () => {
  const database = await openTable();
  const write = { ...job(INSERT, ["once"]), idempotencyKey: "k1" };
  const first = database.runBatch([write]).results[0]!;
  assert.ok(first.ok && first.wrote && !first.replayed);
  const tip = database.pages.tip;
  for (let round = 0; round < 2; round += 1) {
    const again = database.runBatch([write]);
    const result = again.results[0]!;
    assert.ok(result.ok && result.replayed && !result.wrote);
    assert.deepEqual(result.fields.bytes, first.fields.bytes);
    assert.deepEqual(again.pages, []);
    await database.reopenWriter();
  }
  assert.equal(database.pages.tip, tip);
  assert.deepEqual(await database.rows("SELECT count(*) FROM t"), [[1]]);
});

Deno.test("the first answer comes in the format and shape of the repeat", async () => {
  const database = await openTable();
  const statements: [string, (string | bigint)[]][] = [[INSERT, [2n ** 60n]], [
    "SELECT count(*) AS n FROM t",
    [],
  ]];
  const write = { ...batchJob(statements), idempotencyKey: "k" };
  database.run(write);
  const objects = database.run({ ...write, rowShape: "objects" });
  assert.deepEqual((objects.results as { rows: unknown }[]).map((result) => result.rows), [
    [{ id: 1, v: { int64: String(2n ** 60n) }, r: 2 }],
    [{ n: 1 }],
  ]);
  const result = database.runBatch([{ ...write, format: "msgpack" }]).results[0]!;
  assert.ok(result.ok && result.replayed);
  const answer = decode(Uint8Array.of(0x80 | result.fields.count, ...result.fields.bytes), {
    useBigInt64: true,
  });
  assert.deepEqual((answer as { results: { rows: unknown[] }[] }).results[0]!.rows, [[1, 2n ** 60n, 2]]);
});

Deno.test("a first keyed answer equals that of the same request without a key", async () => {
  const [keyed, plain] = [await openTable(), await openTable()];
  for (const format of ["json", "msgpack"] as const) {
    for (const rowShape of ["arrays", "objects"] as const) {
      const write = { ...job(INSERT, ["x"]), format, rowShape };
      const [a, b] = [
        keyed.runBatch([{ ...write, idempotencyKey: `${format} ${rowShape}` }]).results[0]!,
        plain.runBatch([write]).results[0]!,
      ];
      assert.ok(a.ok && b.ok);
      if (format === "json") assert.deepEqual(decodeJson(a.fields.bytes), decodeJson(b.fields.bytes));
      else {
        const header = Uint8Array.of(0x85);
        assert.deepEqual(
          decode(Uint8Array.of(...header, ...a.fields.bytes)),
          decode(Uint8Array.of(...header, ...b.fields.bytes)),
        );
      }
    }
  }
});

Deno.test("the same key with another request is refused", async () => {
  const database = await openTable();
  database.execute(INSERT, ["a"], { idempotencyKey: "k" });
  for (const other of [job(INSERT, ["b"]), job(`${INSERT} `, ["a"]), batchJob([[INSERT, ["a"]]])]) {
    assert.equal(codeOf(() => database.run({ ...other, idempotencyKey: "k" })), "idempotency_mismatch");
  }
  assert.equal(codeOf(() => database.execute(INSERT, ["a"], { idempotencyKey: "" })), "bad_request");
  assert.equal(
    codeOf(() => database.execute(INSERT, ["a"], { idempotencyKey: "k".repeat(257) })),
    "bad_request",
  );
});

Deno.test("a request that failed is not remembered: it may be repeated and succeed", async () => {
  const database = await openTable();
  const insert = () => database.execute("INSERT INTO t VALUES (1, 'x')", [], { idempotencyKey: "k" });
  database.execute("INSERT INTO t VALUES (1, 'in the way')");
  assert.equal(codeOf(insert), "constraint_failed");
  database.execute("DELETE FROM t");
  assert.deepEqual(insert(), { changes: 1, last_insert_rowid: 1 });
  assert.deepEqual(insert(), { changes: 1, last_insert_rowid: 1 });
  assert.deepEqual(await database.rows("SELECT count(*) FROM t"), [[1]]);
});

Deno.test("the first keyed write may be rolled back and come again", async () => {
  const database = await openTable();
  assert.equal(
    codeOf(() => database.execute("INSERT INTO nowhere VALUES (1)", [], { idempotencyKey: "a" })),
    "sql_error",
  );
  assert.equal(codeOf(() => database.batch([[INSERT, [1]], "oops"], { idempotencyKey: "a" })), "sql_error");
  database.execute(INSERT, [1], { idempotencyKey: "a" });
  database.execute(INSERT, [2], { idempotencyKey: "b" });
  assert.deepEqual(await database.rows("SELECT v FROM t"), [[1], [2]]);
});

Deno.test("keyed requests that only read, or write no row: the first are not stored, the second are", async () => {
  const database = await openTable();
  const tip = database.pages.tip;
  assert.deepEqual(database.execute("SELECT count(*) FROM t", [], { idempotencyKey: "r" }).rows, [[0]]);
  assert.equal(database.pages.tip, tip);
  const update = () => database.execute("UPDATE t SET v = 'new'", [], { idempotencyKey: "w" });
  assert.equal(update().changes, 0);
  database.execute(INSERT, ["old"]);
  assert.deepEqual(database.execute("SELECT count(*) FROM t", [], { idempotencyKey: "r" }).rows, [[1]]);
  assert.equal(update().changes, 0);
  assert.deepEqual(await database.rows("SELECT v FROM t"), [["old"]]);
});

Deno.test("keys are forgotten a day later, a bounded number at a time", async () => {
  const database = await openTable();
  const oldKeys = LIMITS.idempotencyKeysPerRemoval + 40;
  const keyed = (key: string, value: string | number) => ({ ...job(INSERT, [value]), idempotencyKey: key });
  const key = (number: number) => `old ${String(number).padStart(4, "0")}`;
  database.runBatch(Array.from({ length: oldKeys }, (_, number) => keyed(key(number), number)));
  database.clock.advance(LIMITS.idempotencyKeyMsMin - 1);
  const writes = (name: string) =>
    Array.from({ length: LIMITS.idempotencyWritesPerRemoval }, (_, n) => keyed(`${name} ${n}`, n));
  database.runBatch(writes("within the day"));
  assert.equal(database.run(keyed(key(0), 0)).last_insert_rowid, 1);
  database.clock.advance(1_000);
  database.runBatch(writes("a day after"));
  const isKnown = (number: number) =>
    !database.runBatch([keyed(key(number), "another value")]).results[0]!.ok;
  assert.equal(isKnown(LIMITS.idempotencyKeysPerRemoval), true);
  assert.equal(isKnown(LIMITS.idempotencyKeysPerRemoval - 1), false);
  assert.equal(isKnown(0), false);
});

Deno.test("an answer that is too large to be stored takes the write back", async () => {
  const database = await openTable({ limits: { idempotencyAnswerBytesMax: 1_000 } });
  const error = errorOf(() => database.execute(INSERT, ["x".repeat(2_000)], { idempotencyKey: "k" }));
  assert.deepEqual([error.code, error.details.limit?.name], ["result_too_large", "idempotency_answer_bytes"]);
  assert.deepEqual(database.execute("SELECT count(*) FROM t").rows, [[0]]);
});

Deno.test("the hash of a request: what is stored alike is alike, everything else differs", () => {
  const hash = (kind: "execute" | "batch", sql: string, parameters: SqlParameters) =>
    hashRequest(kind, [{ sql, parameters }]).join(" ");
  const base = hash("execute", "SELECT ?", [1]);
  assert.equal(hash("execute", "SELECT ?", [1n]), base);
  assert.equal(hash("execute", "SELECT ?", [true]), base);
  assert.equal(hash("execute", "x", { a: 1, b: 2 }), hash("execute", "x", { b: 2, a: 1 }));
  const different = [
    hash("batch", "SELECT ?", [1]),
    hash("execute", "SELECT  ?", [1]),
    hash("execute", "SELECT ?", [2]),
    hash("execute", "SELECT ?", ["1"]),
    hash("execute", "SELECT ?", [{ real: 1 }]),
    hash("execute", "SELECT ?", [null]),
    hash("execute", "SELECT ?", [new Uint8Array([1])]),
    hash("execute", "SELECT ?", [1, 1]),
    hash("execute", "SELECT ?", { 1: 1 }),
  ];
  assert.equal(new Set([base, ...different]).size, different.length + 1);
  // Part of stored databases: must never change.
  assert.equal(base, "214 112 99 81 18 5 74 114");
});
