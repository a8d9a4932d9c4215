import assert from "node:assert/strict";
import { type Fields, SqlDatabase } from "../../tests/support/sql_database.ts";
import { fromErrorRecord } from "../base/errors.ts";
import { encodePages } from "../pages/entry_body.ts";
import type { TransactionStep } from "./messages.ts";
import { unpackAnswers } from "./packed_answers.ts";
import type { SessionLimits } from "./session_limits.ts";
import { runTransactionStep } from "./transaction_step.ts";
import type { WriteBatch } from "./writer_session.ts";

/** Steps of one transaction on a writer, whose commits are appended as a node would append them. */
class Steps {
  readonly database: SqlDatabase;
  isOpen = false;
  bodies = 0;
  #number = 1_000;

  constructor(database: SqlDatabase) {
    this.database = database;
  }

  static async open(limits: Partial<SessionLimits> = {}): Promise<Steps> {
    const database = await SqlDatabase.open({ limits });
    database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    return new Steps(database);
  }

  /** @throws NodeError */
  step(step: TransactionStep): Fields {
    const { pages, writer } = this.database;
    let committed: Pick<WriteBatch, "pages" | "pageCount"> = { pages: [], pageCount: 0 };
    const results = runTransactionStep(writer, { step, batchNumber: ++this.#number }, (batch) => {
      committed = batch;
      if (batch.pages.length === 0) return [];
      const entryBytesMax = 4_096;
      return encodePages(batch.pages, {
        wallMs: 0,
        databaseId: 1,
        pageSize: 4_096,
        pageCount: batch.pageCount,
        entryBytesMax,
      });
    });
    if (committed.pages.length > 0) pages.append(pages.tip + 1, committed.pages, committed.pageCount);
    this.isOpen = results.isOpen;
    this.bodies = results.bodies.length;
    const [outcome] = unpackAnswers(results.answers);
    if (!outcome!.ok) throw fromErrorRecord(outcome!.error);
    return JSON.parse(`{${new TextDecoder().decode(outcome!.value.bytes)}}`);
  }

  begin(): void {
    this.step({ kind: "begin" });
  }

  run(sql: string, runMsMax = 1_000): Fields {
    return this.step({
      kind: "run",
      statement: { sql, parameters: [] },
      format: "json",
      rowShape: "arrays",
      runMsMax,
    });
  }

  commit(): void {
    this.step({ kind: "commit" });
  }

  rollBack(): void {
    this.step({ kind: "rollback" });
  }

  async ids(): Promise<unknown> {
    return (await this.database.rows("SELECT id FROM t ORDER BY id")).flat();
  }
}

Deno.test("a transaction over several steps leaves its pages once, with the commit", async () => {
  const steps = await Steps.open();
  const { tip } = steps.database.pages;
  steps.begin();
  assert.deepEqual(steps.run("INSERT INTO t VALUES (5, 'x')"), { changes: 1, last_insert_rowid: 5 });
  assert.deepEqual(steps.run("UPDATE t SET a = 'y' RETURNING id, a").rows, [[5, "y"]]);
  assert.deepEqual(steps.run("SELECT a FROM t").rows, [["y"]]);
  assert.deepEqual([steps.isOpen, steps.bodies, steps.database.pages.tip], [true, 0, tip]);
  assert.deepEqual(await steps.ids(), []);
  steps.commit();
  assert.deepEqual([steps.isOpen, steps.bodies > 0, steps.database.pages.tip], [false, true, tip + 1]);
  assert.deepEqual(await steps.ids(), [5]);
  steps.begin();
  steps.run("SELECT a FROM t");
  steps.commit();
  assert.deepEqual([steps.isOpen, steps.bodies], [false, 0], "nothing was written");
});

Deno.test("a statement that fails late, its rows or its name, has changed nothing, and the transaction goes on", async () => {
  const steps = await Steps.open({ resultRowsMax: 2 });
  steps.begin();
  steps.run("INSERT INTO t VALUES (1, 'kept')");
  assert.throws(() => steps.run("INSERT INTO t VALUES (2, ''), (3, ''), (4, '') RETURNING id"), {
    code: "result_too_large",
  });
  assert.throws(() => steps.run("ALTER TABLE t RENAME TO walraft_t"), { code: "statement_refused" });
  assert.equal(steps.isOpen, true);
  assert.deepEqual(steps.run("SELECT id FROM t").rows, [[1]]);
  steps.commit();
  assert.deepEqual(await steps.ids(), [1]);
});

Deno.test("savepoints belong to a transaction: refused outside, also after one was compiled inside", async () => {
  const steps = await Steps.open();
  steps.begin();
  steps.run("SAVEPOINT s");
  steps.run("INSERT INTO t VALUES (1, '')");
  steps.run("ROLLBACK TO s");
  steps.run("INSERT INTO t VALUES (2, '')");
  steps.run("RELEASE s");
  for (
    const sql of [
      "SAVEPOINT walraft_statement",
      "RELEASE walraft_statement",
      "BEGIN",
      "COMMIT",
      "ROLLBACK",
      "END",
    ]
  ) {
    assert.throws(() => steps.run(sql), { code: "statement_refused" }, sql);
  }
  steps.commit();
  assert.deepEqual(await steps.ids(), [2]);
  steps.begin();
  for (const sql of ["SAVEPOINT s", "RELEASE s"]) steps.run(sql);
  steps.commit();
  for (const sql of ["SAVEPOINT s", "ROLLBACK TO s", "RELEASE s"]) {
    assert.throws(() => steps.database.execute(sql), { code: "statement_refused" }, sql);
  }
  assert.throws(() => steps.run("SELECT 1"), { code: "engine_failed" }, "no transaction is open");
});

Deno.test("what was compiled for a schema that is taken back is not used after it", async () => {
  const insert = "INSERT INTO t (a) VALUES (1), (2), (3)";
  for (const end of ["rollback", "rollback to"]) {
    const steps = await Steps.open();
    // It keeps what was done before, unless the statement is known to have a trigger and gets a transaction of its own.
    steps.database.execute(
      "CREATE TRIGGER guard AFTER INSERT ON t WHEN new.a = 3 BEGIN SELECT RAISE(FAIL, 'three'); END",
    );
    steps.begin();
    steps.run("SAVEPOINT s");
    steps.run("DROP TRIGGER guard");
    steps.run(insert);
    if (end === "rollback") {
      steps.rollBack();
    } else {
      steps.run("ROLLBACK TO s");
      steps.commit();
    }
    assert.throws(() => steps.database.execute(insert), { code: "constraint_failed" });
    assert.deepEqual(await steps.ids(), [], end);
  }
});

Deno.test("a transaction that grows too large is rolled back by SQLite, and says so", async () => {
  const steps = await Steps.open({ transactionBytesMax: 40 * 4_096, cacheKib: 40 });
  steps.begin();
  steps.run("INSERT INTO t VALUES (1, '')");
  const grow = () => {
    for (let i = 0; i < 100; i += 1) steps.run("INSERT INTO t (a) VALUES (randomblob(3000))");
    steps.commit();
  };
  assert.throws(grow, { code: "transaction_too_large" });
  assert.equal(steps.isOpen, false);
  steps.rollBack();
  steps.begin();
  steps.run("INSERT INTO t VALUES (2, '')");
  steps.commit();
  assert.deepEqual(await steps.ids(), [2]);
});

Deno.test("deferred constraints fail at the commit, and the transaction stays open", async () => {
  const steps = await Steps.open();
  steps.database.execute("CREATE TABLE child (t REFERENCES t(id))");
  steps.begin();
  steps.run("PRAGMA defer_foreign_keys = ON");
  steps.run("INSERT INTO child VALUES (7)");
  assert.throws(() => steps.commit(), { code: "constraint_failed" });
  assert.equal(steps.isOpen, true);
  steps.run("INSERT INTO t VALUES (7, '')");
  steps.commit();
  assert.deepEqual(await steps.ids(), [7]);
  steps.begin();
  assert.throws(
    () => steps.run("INSERT INTO child VALUES (8)"),
    { code: "constraint_failed" },
    "of the last one only",
  );
  steps.rollBack();
});

Deno.test("a statement out of time, or cancelled, ends with the transaction; the session goes on", async () => {
  const steps = await Steps.open();
  const endless =
    "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) INSERT INTO t (a) SELECT n FROM c";
  steps.begin();
  assert.throws(() => steps.run(endless, 0), { code: "statement_timeout" });
  assert.equal(steps.isOpen, false);
  steps.begin();
  steps.database.isCancelled = true;
  assert.throws(() => steps.run(endless), { code: "cancelled" });
  assert.equal(steps.isOpen, false);
  steps.begin();
  steps.rollBack();
  steps.database.isCancelled = false;
  steps.database.execute("INSERT INTO t VALUES (3, '')");
  assert.deepEqual(await steps.ids(), [3]);
});

Deno.test("a large WAL is emptied before a transaction, never within one", async () => {
  const steps = await Steps.open({ walBytesMax: 8 * 4_096 });
  for (let round = 1; round <= 4; round += 1) {
    steps.begin();
    for (let i = 0; i < 30; i += 1) steps.run("INSERT INTO t (a) VALUES (randomblob(3000))");
    if (round % 2 === 0) steps.rollBack();
    else steps.commit();
  }
  assert.deepEqual(await steps.database.rows("SELECT COUNT(*) FROM t"), [[60]]);
  assert.deepEqual(await steps.database.rows("PRAGMA integrity_check"), [["ok"]]);
});
