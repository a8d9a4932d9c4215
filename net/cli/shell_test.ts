import assert from "node:assert/strict";
import {
  type CapturedContext,
  capturedContext,
  type ContextOptions,
} from "../../tests/support/captured_context.ts";
import { answer, silence } from "../../tests/support/scripted_node.ts";
import { SqliteNode } from "../../tests/support/sqlite_node.ts";
import { connect } from "../client/mod.ts";
import type { ShellOptions } from "./arguments.ts";
import type { LineEditor } from "./line_editor.ts";
import { converse, runShell } from "./shell.ts";
import { ShellSession } from "./shell_session.ts";
import { StatementRunner } from "./statement_runner.ts";

async function shell(
  node: SqliteNode,
  input: string,
  options: Partial<ShellOptions> = {},
  contextOptions: ContextOptions = {},
): Promise<{ code: number; out: string; err: string }> {
  const context = capturedContext({ input, ...contextOptions });
  const code = await runShell({
    urls: [node.url],
    token: undefined,
    timeoutMs: 5_000,
    command: undefined,
    database: "main",
    mode: "list",
    level: "linearizable",
    historyFile: undefined,
    ...options,
  }, context);
  return { code, out: context.output.out, err: context.output.err };
}

const SCRIPT = `
CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT); -- ; comment
INSERT INTO city (name) VALUES ('Oslo;'), ('Bergen') RETURNING id;
CREATE TRIGGER t AFTER DELETE ON city BEGIN
  INSERT INTO city (name) VALUES (CASE WHEN old.id = 1 THEN 'again' END);
END;
DELETE FROM city WHERE id = 1;
WITH n AS (SELECT 'Moss' AS name) INSERT INTO city (name) SELECT name FROM n;
SELECT * FROM city ORDER BY id`;

Deno.test("the shell runs piped statements and ends at the end of input", async () => {
  await using node = new SqliteNode();
  const result = await shell(node, SCRIPT);
  assert.deepEqual(result, {
    code: 0,
    out: "id\n1\n2\nid|name\n2|Bergen\n3|again\n4|Moss\n",
    err: "",
  });
});

Deno.test("-c runs statements and dot commands on the database named", async () => {
  await using node = new SqliteNode();
  await shell(node, SCRIPT, { database: "other" });
  const counted = await shell(node, "not read", {
    command: "SELECT count(*) AS n FROM city",
    database: "other",
    mode: "table",
  });
  assert.deepEqual([counted.code, counted.out], [0, "n\n-\n3\n"]);
  assert.equal((await shell(node, "", { command: ".tables c%", database: "other" })).out, "city\n");
});

Deno.test("the first failing statement ends a script with exit code 1, line and caret", async () => {
  await using node = new SqliteNode();
  const { code, out, err } = await shell(
    node,
    ".timer off\nSELECT 1 AS a;\nSELECT\n  1 AS b FORM x;\nSELECT 2;",
    { command: undefined },
  );
  assert.deepEqual([code, out], [1, ""], "there is no database yet");
  assert.match(err, /^Error: line 2: .*\[database_not_found\]\n$/);
  await shell(node, "CREATE TABLE t (a)");
  const second = await shell(node, ".timer off\nSELECT 1 AS a;\nSELECT\n  1 AS b FORM x;\nSELECT 2;");
  assert.deepEqual([second.code, second.out], [1, "a\n1\n"]);
  assert.equal(
    second.err,
    'Error: line 3: near "FORM": syntax error [sql_error]\n    1 AS b FORM x\n           ^\n',
  );
});

Deno.test("a script that breaks off fails", async () => {
  await using node = new SqliteNode();
  await shell(node, "CREATE TABLE t (a)");
  assert.match((await shell(node, "SELECT 'abc")).err, /a string is not closed/);
  const open = await shell(node, "BEGIN; INSERT INTO t VALUES (1);");
  assert.deepEqual([open.code, open.err.includes("BEGIN has no COMMIT")], [1, true]);
  assert.deepEqual(node.rows("main", "SELECT * FROM t"), []);
});

Deno.test("BEGIN … COMMIT is sent as one batch, ROLLBACK sends nothing", async () => {
  await using node = new SqliteNode();
  const { out, code } = await shell(
    node,
    `CREATE TABLE t (a PRIMARY KEY);
     BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2) RETURNING a; COMMIT;
     BEGIN; INSERT INTO t VALUES (3); ROLLBACK;
     SELECT count(*) AS n FROM t;`,
  );
  assert.deepEqual([code, out], [0, "a\n2\nn\n2\n"]);
  assert.equal(node.seen("/v1/databases/main/batch").length, 1);
  const failed = await shell(node, "BEGIN; INSERT INTO t VALUES (7); INSERT INTO t VALUES (1); COMMIT;");
  assert.equal(failed.code, 1);
  assert.match(
    failed.err,
    /in statement 2 of the transaction, which was rolled back: INSERT INTO t VALUES \(1\)/,
  );
  assert.equal(node.rows("main", "SELECT * FROM t").length, 2);
  for (
    const refused of [
      "COMMIT;",
      "ROLLBACK;",
      "SAVEPOINT a;",
      "BEGIN; BEGIN;",
      "BEGIN; ROLLBACK TO a;",
      "BEGIN;\n.open x",
    ]
  ) {
    assert.equal((await shell(node, refused)).code, 1, refused);
  }
});

Deno.test("dot commands show and set", async () => {
  await using node = new SqliteNode();
  await shell(
    node,
    "CREATE TABLE a (x); CREATE VIEW b AS SELECT x FROM a; INSERT INTO a VALUES (1.5), (NULL);",
  );
  await shell(node, "CREATE TABLE c (y)", { database: "second" });
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/in put.sql`, "SELECT 'from file' AS f;\nSELECT 2 AS g");
    const { code, out, err } = await shell(
      node,
      [
        ".tables",
        ".schema a",
        ".mode csv",
        ".headers off",
        "SELECT * FROM a;",
        ".headers on",
        ".mode line",
        `.read '${folder}/in put.sql'`,
        ".level stale",
        ".level",
        ".open second",
        ".tables",
        ".open main",
        `.backup ${folder}/copy.db`,
        ".mode list",
        ".timer on",
        "SELECT 3 AS h;",
        ".quit",
        "SELECT 'never';",
      ].join("\n"),
    );
    assert.equal(code, 0, err);
    assert.match(
      out,
      /^a\nb\nCREATE TABLE a \(x\);\n1\.5\n\nf = from file\ng = 2\nlevel stale\nc\nh\n3\ntime [\d.]+ ms, of it 0\.5 ms in the node, index \d+\n$/,
    );
    assert.equal(node.requests.filter((request) => request.json?.level === "stale").length, 2);
    const { DatabaseSync } = await import("node:sqlite");
    const copy = new DatabaseSync(`${folder}/copy.db`);
    assert.deepEqual({ ...copy.prepare("SELECT count(*) AS n FROM a").get() }, { n: 2 });
    copy.close();
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name).sort(), [
      "copy.db",
      "in put.sql",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the shell shows the past and does not write there", async () => {
  await using node = new SqliteNode();
  await shell(node, "CREATE TABLE t (a); INSERT INTO t VALUES (1);");
  const time = "2026-11-21T10:00:00+01:00";
  const { code, out, err } = await shell(
    node,
    [".asof 12", ".tables", `.asof ${time}`, ".asof", "SELECT a FROM t;", ".asof off", ".asof", "SELECT 2;"]
      .join("\n"),
    { level: "stale" },
  );
  assert.deepEqual([code, out, err], [0, `t\nasof ${time}\na\n1\nasof off\n2\n2\n`, ""]);
  const sent = node.seen("/v1/databases/main/query").map(({ json }) => [json?.level, json?.as_of]);
  assert.deepEqual(sent, [["as_of", 12], ["as_of", time], ["stale", undefined]]);
  const writes = ["DELETE FROM t;", "BEGIN;", "WITH n AS (SELECT 1) DELETE FROM t;"];
  for (const write of writes) {
    const refused = await shell(node, `.asof 12\n${write}`);
    assert.deepEqual([refused.code, /Cannot write in the past/.test(refused.err)], [1, true], write);
  }
  assert.match((await shell(node, "BEGIN;\n.asof 12")).err, /Cannot change the moment in a transaction/);
  assert.deepEqual(node.rows("main", "SELECT a FROM t"), [{ a: 1 }]);
});

Deno.test(".checkpoint says how far the file is", async () => {
  await using node = new SqliteNode();
  const serve = node.script;
  node.script = (request, self) =>
    request.path.includes("/checkpoint")
      ? answer({ checkpoint_index: 9, complete: request.path.includes("mode=full") })
      : serve(request, self);
  const { out, err } = await shell(node, ".checkpoint\n.checkpoint full");
  assert.equal(
    out,
    "main is in its file up to index 9, the rest is still needed in the log\n" +
      "main is in its file up to index 9, all of it\n",
    err,
  );
});

Deno.test("dot commands explain what they do not understand", async () => {
  await using node = new SqliteNode();
  const errors: [string, RegExp][] = [
    [".nope", /Unknown command \.nope/],
    [".mode tabel", /"tabel" for \.mode: choose table, csv/],
    [".asof yesterday", /"yesterday" for \.asof: give a log index, a time such as/],
    [".asof 2026-11-21T10:00:00", /for \.asof: give/],
    [".asof 2026-11-21T99:00:00Z", /for \.asof: give/],
    [".checkpoint fast", /Unknown mode "fast": \.checkpoint \[full\]/],
    [".open", /Missing argument: \.open NAME/],
    [".tables a b", /Too many arguments/],
    [".read /nowhere/file", /No such file|not found/i],
    [".backup /nowhere/file", /No such file|not found/i],
  ];
  for (const [line, message] of errors) {
    const { code, err } = await shell(node, line);
    assert.equal(code, 1, line);
    assert.match(err, message);
  }
  const { out } = await shell(node, ".help\n.databases\n.status");
  for (
    const name of [
      "tables",
      "schema",
      "databases",
      "open",
      "mode",
      "headers",
      "read",
      "status",
      "level",
      "asof",
      "checkpoint",
      "timer",
      "backup",
      "help",
      "quit",
    ]
  ) {
    assert.match(out, new RegExp(`^\\.${name}\\b`, "m"));
  }
  assert.match(out, /no databases\ncluster c1 {2}leader node 1/);
});

Deno.test("a script that reads itself ends", async () => {
  await using node = new SqliteNode();
  const path = await Deno.makeTempFile();
  await Deno.writeTextFile(path, `.read ${path}\n`);
  const { code, err } = await shell(node, `.read ${path}`);
  await Deno.remove(path);
  assert.equal(code, 1);
  assert.match(err, /more than 16 deep/);
});

/** A keyboard for tests: lines and Ctrl-C come from the test, each when the one before has been dealt with. */
class TestKeyboard implements LineEditor {
  readonly prompts: string[] = [];
  #interrupt = () => {};
  #prompt = "";
  readonly #keys: AsyncIterable<string>;

  constructor(keys: (keyboard: TestKeyboard) => AsyncIterable<string>) {
    this.#keys = keys(this);
  }

  setPrompt(text: string): void {
    this.#prompt = text;
  }
  prompt(): void {
    this.prompts.push(this.#prompt);
  }
  lines(): AsyncIterable<string> {
    return this.#keys;
  }
  onInterrupt(handler: () => void): void {
    this.#interrupt = handler;
  }
  pressInterrupt(): void {
    this.#interrupt();
  }
  clearLine(): boolean {
    return false;
  }
  history(): string[] {
    return [];
  }
  close(): void {}
}

function conversation(node: SqliteNode, context: CapturedContext): ShellSession {
  return new ShellSession(
    new StatementRunner(connect(node.url), "main", "linearizable"),
    context.output,
    "list",
    true,
  );
}

Deno.test("the interactive shell goes on after errors and says where a statement stands", async () => {
  await using node = new SqliteNode();
  const context = capturedContext();
  const keyboard = new TestKeyboard(async function* () {
    yield "CREATE TABLE t (a);";
    yield "INSERT INTO t";
    yield "VALUES ('x";
    yield "y');";
    yield "SELECT nope FROM t;";
    yield "SELECT a FROM t;";
    yield "BEGIN;";
    yield "DELETE FROM t;";
    yield "COMMIT;";
    yield ".asof 12";
    yield ".quit";
    yield "SELECT 'never';";
  });
  await converse(conversation(node, context), keyboard, context.signal);
  assert.deepEqual(keyboard.prompts, [
    "main> ",
    "main> ",
    " ...> ",
    " '..> ",
    "main> ",
    "main> ",
    "main> ",
    "main*> ",
    "main*> ",
    "main> ",
    "main@12> ",
  ]);
  assert.match(context.output.out, /^0 rows changed\.\n1 row changed\.\na\nx\ny\nStatements are gathered/);
  assert.match(context.output.out, /1 gathered\.\n1 statement committed, 1 row changed\.\n$/);
  assert.equal(
    context.output.err,
    "Error: no such column: nope [sql_error]\n  SELECT nope FROM t\n         ^\n",
  );
});

Deno.test("Ctrl-C stops the running statement, else drops what is typed", async () => {
  await using node = new SqliteNode();
  const context = capturedContext();
  const serve = node.script;
  node.script = (request, self) =>
    request.json?.sql === "SELECT 'slow'" ? silence(request) : serve(request, self);
  const keyboard = new TestKeyboard(async function* (self) {
    yield "CREATE TABLE t (a);";
    yield "SELECT 'dropped";
    self.pressInterrupt();
    self.pressInterrupt();
    const arrived = node.next("/v1/databases/main/query");
    arrived.then(() => self.pressInterrupt());
    yield "SELECT 'slow';";
    yield "SELECT 'after' AS a;";
  });
  await converse(conversation(node, context), keyboard, context.signal);
  assert.match(context.output.out, /\n\nCtrl-D or \.quit leaves\.\na\nafter\n\n$/);
  assert.match(context.output.err, /\[cancelled\]/);
});
