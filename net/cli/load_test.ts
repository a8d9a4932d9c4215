import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { capturedContext } from "../../tests/support/captured_context.ts";
import { SqliteNode } from "../../tests/support/sqlite_node.ts";
import { isWalraftError } from "../client/mod.ts";
import type { LoadOptions } from "./arguments.ts";
import { runLoad } from "./load.ts";

interface Scene {
  readonly node: SqliteNode;
  readonly folder: string;
  /** Writes a file and loads it; gives what was printed. */
  load(
    name: string,
    content: string | Uint8Array | undefined,
    options?: Partial<LoadOptions>,
  ): Promise<string>;
}

async function withScene(run: (scene: Scene) => Promise<void>): Promise<void> {
  await using node = new SqliteNode();
  const folder = await Deno.makeTempDir();
  try {
    await run({
      node,
      folder,
      load: async (name, content, options = {}) => {
        const file = `${folder}/${name}`;
        if (typeof content === "string") await Deno.writeTextFile(file, content);
        else if (content !== undefined) await Deno.writeFile(file, content);
        const context = capturedContext();
        const code = await runLoad(
          {
            urls: [node.url],
            token: undefined,
            timeoutMs: 5_000,
            database: "main",
            file,
            batchStatementsMax: 3,
            ...options,
          },
          context,
        );
        assert.equal(code, 0);
        assert.equal(context.output.err, "", "no progress bar without a terminal");
        return context.output.out;
      },
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function makeDatabase(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}

Deno.test("load sends a database file as it is", async () => {
  await withScene(async ({ node, folder, load }) => {
    makeDatabase(`${folder}/a.db`, "CREATE TABLE t (a); INSERT INTO t VALUES ('x'), (zeroblob(300000))");
    const out = await load("a.db", undefined);
    assert.match(out, /a\.db loaded into main: \d+ pages, [\d.]+ KiB, index 11, [\d.]+ s\n$/);
    assert.deepEqual(node.rows("main", "SELECT count(*) AS n, max(length(a)) AS l FROM t"), [{
      n: 2,
      l: 300_000,
    }]);
    assert.deepEqual(node.seen("/v1/databases/main")[0]?.bytes, await Deno.readFile(`${folder}/a.db`));
  });
});

Deno.test("load shows a progress bar on a terminal and clears it", async () => {
  await using node = new SqliteNode();
  const folder = await Deno.makeTempDir();
  makeDatabase(`${folder}/a.db`, "CREATE TABLE t (a)");
  const context = capturedContext({ columns: 100 });
  await runLoad(
    {
      urls: [node.url],
      token: undefined,
      timeoutMs: 5_000,
      database: "main",
      file: `${folder}/a.db`,
      batchStatementsMax: 3,
    },
    context,
  );
  await Deno.remove(folder, { recursive: true });
  assert.match(
    context.output.err,
    /^\rsending \[#+\.*\] {1,3}\d+ % {2}8\.0 KiB of 8\.0 KiB {2}\S+ \S+\/s\r +\r$/,
  );
});

Deno.test("load refuses files that are no sound database before sending them", async () => {
  await withScene(async ({ node, folder, load }) => {
    makeDatabase(`${folder}/a.db`, "CREATE TABLE t (a)");
    const bytes = await Deno.readFile(`${folder}/a.db`);
    const odd = bytes.slice();
    odd.set([0x12, 0x34], 16);
    await assert.rejects(
      load("short.db", bytes.slice(0, 5_000)),
      /short\.db: its 5000 bytes are not a whole number of pages/,
    );
    await assert.rejects(load("tiny.db", bytes.slice(0, 50)), /less than the header/);
    await assert.rejects(load("odd.db", odd), /page size 4660 is not allowed/);
    await assert.rejects(load("text.sqlite", "SELECT 1"), /not a SQLite database/);
    await assert.rejects(load("empty.sql", ""), /it is empty/);
    await assert.rejects(load("none.sql", undefined), /Cannot load .*none\.sql: /);
    await Deno.writeTextFile(`${folder}/a.db-wal`, "frames");
    await assert.rejects(load("a.db", undefined), /changes are still in .*a\.db-wal/);
    assert.equal(node.requests.length, 0);
  });
});

const DUMP = `PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent);
INSERT INTO child VALUES (1, 10), (2, 20);
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO parent VALUES (10, 'a;b'), (20, 'c
d');
CREATE TRIGGER guard BEFORE DELETE ON parent BEGIN SELECT RAISE(ABORT, 'no;'); END;
COMMIT;
PRAGMA user_version = 7`;

Deno.test("load runs a script for a new database in a native file and sends that in one step", async () => {
  await withScene(async ({ node, load }) => {
    const out = await load("dump.sql", DUMP);
    assert.match(out, /dump\.sql loaded into main: 9 statements, \d+ pages, /);
    assert.deepEqual(node.rows("main", "SELECT name FROM parent JOIN child ON parent = parent.id"), [{
      name: "a;b",
    }, { name: "c\nd" }]);
    assert.deepEqual(node.requests.map((request) => request.method), ["GET", "POST", "PUT"]);
    const sent = node.seen("/v1/databases/main").at(-1)?.bytes ?? new Uint8Array();
    assert.equal(new DataView(sent.buffer, sent.byteOffset).getUint32(60), 7, "user_version");
    assert.deepEqual([sent[18], sent[19]], [1, 1], "not in WAL mode");
    await load("blank.sql", "PRAGMA journal_mode = wal; -- nothing else", { database: "blank" });
    assert.ok(node.databases.has("blank"));
  });
});

Deno.test("load sends a script to a database with tables in atomic batches", async () => {
  await withScene(async ({ node, load }) => {
    await load("dump.sql", DUMP);
    const rows = Array.from(
      { length: 8 },
      (_, i) => `INSERT INTO child VALUES (${100 + i}, ${i < 4 ? 500 : 10});`,
    );
    const script = [
      "PRAGMA foreign_keys = 0;",
      "BEGIN;",
      ...rows.slice(0, 2),
      "INSERT INTO parent VALUES (500, 'late');",
      ...rows.slice(2),
      "COMMIT; VACUUM;",
    ];
    const out = await load("more.sql", script.join("\n"));
    assert.match(out, /more\.sql loaded into main: 9 statements in 3 batches, 9 rows changed, index \d+/);
    assert.deepEqual(node.rows("main", "SELECT count(*) AS n FROM child"), [{ n: 10 }]);
    const batches = node.seen("/v1/databases/main/batch").map((request) =>
      request.json?.statements as { sql: string }[]
    );
    assert.deepEqual(batches.map((statements) => statements.length), [4, 4, 4]);
    for (const [first] of batches) assert.equal(first?.sql, "PRAGMA defer_foreign_keys = ON");
  });
});

Deno.test("load names the line that failed and what was loaded before", async () => {
  await withScene(async ({ node, load }) => {
    await assert.rejects(
      load("bad.sql", "CREATE TABLE t (a);\n\nINSERT INTO nope VALUES (1);"),
      /bad\.sql:3: no such table: nope/,
    );
    assert.equal(node.databases.size, 0);
    await load("good.sql", "CREATE TABLE t (a PRIMARY KEY);");
    const script = [
      "INSERT INTO t VALUES (1);",
      "INSERT INTO t VALUES (2);",
      "INSERT INTO t VALUES (3);",
      "INSERT INTO t VALUES (4);",
      "INSERT INTO t VALUES (1);",
    ];
    await assert.rejects(load("twice.sql", script.join("\n")), (error) => {
      assert.ok(isWalraftError(error, "constraint_failed"));
      assert.match(
        error.message,
        /twice\.sql:5: UNIQUE constraint failed: t\.a; everything up to line 3 was loaded$/,
      );
      return true;
    });
    assert.deepEqual(node.rows("main", "SELECT count(*) AS n FROM t"), [{ n: 3 }]);
  });
});

Deno.test("load refuses scripts that reach elsewhere or break off", async () => {
  await withScene(async ({ node, load }) => {
    await assert.rejects(load("attach.sql", "ATTACH 'x.db' AS x;"), /attach\.sql:1: ATTACH cannot be loaded/);
    await assert.rejects(load("open.sql", "SELECT 'x"), /it ends within a string/);
    await assert.rejects(load("begin.sql", "BEGIN; CREATE TABLE t (a);"), /last transaction has no COMMIT/);
    await assert.rejects(
      load("latin.sql", new Uint8Array([0x2d, 0x2d, 0xe9, 0x0a])),
      /latin\.sql: it is not UTF-8 text/,
    );
    await load("good.sql", "CREATE TABLE t (a);");
    await assert.rejects(
      load("attach.sql", "\nATTACH 'x.db' AS x;"),
      /attach\.sql:2: ATTACH cannot be loaded/,
    );
    await assert.rejects(
      load("rollback.sql", "BEGIN;\nROLLBACK;"),
      /rollback\.sql:2: ROLLBACK cannot be loaded/,
    );
    assert.deepEqual([...node.databases.keys()], ["main"]);
  });
});
