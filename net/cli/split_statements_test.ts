import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { splitStatements, StatementSplitter, StatementTooLongError } from "./split_statements.ts";

const texts = (script: string) => splitStatements(script).statements.map((statement) => statement.text);

Deno.test("splitStatements() cuts at semicolons outside of strings, names and comments", () => {
  assert.deepEqual(texts("SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
  assert.deepEqual(texts(`SELECT 'a;''b;'; SELECT "c;""d", [e;f], \`g;\`\`h\`;`), [
    "SELECT 'a;''b;'",
    `SELECT "c;""d", [e;f], \`g;\`\`h\``,
  ]);
  assert.deepEqual(texts("-- one; two\nSELECT 1 /* ; */ - 2 -- ;\n; /* ; */ ;; "), [
    "SELECT 1 /* ; */ - 2 -- ;",
  ]);
  assert.deepEqual(texts("SELECT 4/2; SELECT 3-1; SELECT 1-"), ["SELECT 4/2", "SELECT 3-1", "SELECT 1-"]);
  assert.deepEqual(texts(" \n-- nothing\n/* at all */"), []);
});

Deno.test("splitStatements() keeps a trigger together", () => {
  const trigger = `CREATE TEMP TRIGGER IF NOT EXISTS t AFTER INSERT ON a WHEN new.x > 0 BEGIN
    UPDATE a SET x = CASE WHEN x = 1 THEN 2 ELSE 3 END; -- ; END ;
    SELECT 'END;' ;
  END`;
  assert.deepEqual(texts(`${trigger};SELECT 1;`), [trigger, "SELECT 1"]);
  assert.deepEqual(texts(`EXPLAIN QUERY PLAN ${trigger}`), [`EXPLAIN QUERY PLAN ${trigger}`]);
  assert.deepEqual(texts("CREATE TRIGGER broken; SELECT 1;"), ["CREATE TRIGGER broken", "SELECT 1"]);
  assert.deepEqual(texts("CREATE TABLE trigger_like (a); BEGIN; END;"), [
    "CREATE TABLE trigger_like (a)",
    "BEGIN",
    "END",
  ]);
  assert.deepEqual(texts("SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 3"), [
    "SELECT CASE 1 WHEN 1 THEN 2 END",
    "SELECT 3",
  ]);
});

Deno.test("splitStatements() names keyword and line", () => {
  const { statements } = splitStatements(
    "\n-- c\ninsert\ninto t values ('\n');\n\n(1); With x AS (SELECT 1) SELECT * FROM x",
  );
  assert.deepEqual(statements.map(({ keyword, line }) => [keyword, line]), [["INSERT", 3], ["", 7], [
    "WITH",
    7,
  ]]);
});

Deno.test("splitStatements() says what is left open", () => {
  const open = (script: string) => splitStatements(script).open;
  assert.equal(open("SELECT 1"), "nothing");
  assert.equal(open("SELECT 'a''"), "string");
  assert.equal(open("SELECT [a"), "string");
  assert.equal(open("SELECT 1 /* x"), "comment");
  assert.equal(open("SELECT 1 -- x"), "nothing");
  assert.equal(open("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;"), "trigger");
  assert.equal(open("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END"), "nothing");
  assert.deepEqual(texts("SELECT 1; SELECT 'a"), ["SELECT 1"], "an open statement is not given out");
});

Deno.test("StatementSplitter says while typing what the next line goes on with", () => {
  const splitter = new StatementSplitter();
  assert.deepEqual([splitter.push("SELECT\n").length, splitter.open], [0, "statement"]);
  assert.deepEqual([splitter.push("'a\n").length, splitter.open], [0, "string"]);
  assert.deepEqual(splitter.push("';").map((statement) => statement.text), ["SELECT\n'a\n'"]);
  assert.equal(splitter.open, "nothing");
  assert.deepEqual([splitter.push("/* x\n").length, splitter.open], [0, "comment"]);
  splitter.clear();
  assert.equal(splitter.open, "nothing");
});

Deno.test("StatementSplitter bounds the length of a statement", () => {
  const splitter = new StatementSplitter(100);
  splitter.push("SELECT 1;\n".repeat(100));
  assert.throws(() => splitter.push("'" + "x".repeat(101)), StatementTooLongError);
});

const PIECES = [
  "INSERT INTO t (a) VALUES ('x;''y')",
  'INSERT INTO t (a) VALUES ("a" || \'"\')'.replace('"a"', "'b'"),
  "INSERT INTO t (a) SELECT CASE WHEN count(*) > 2 THEN ';' ELSE 'END;' END FROM t",
  "UPDATE t SET a = a || '--' || 1-1 || 6/2 WHERE [a] <> `a` OR \"a\" = a",
  "CREATE TRIGGER IF NOT EXISTS g AFTER INSERT ON t BEGIN INSERT INTO log VALUES (CASE new.a WHEN ';' THEN 'END' END); DELETE FROM log WHERE a = 'none;'; END",
  "CREATE VIEW IF NOT EXISTS v AS SELECT a AS 'end; x' FROM t",
  "DELETE FROM t WHERE a = 'never /* ' /* ; ' */",
  "BEGIN",
  "COMMIT",
];
const SEPARATORS = [";", " ;\n", ";;", "; -- ; '\n", ";/* ' ; */", "\n;\t"];

const script = fc.array(fc.tuple(fc.constantFrom(...PIECES), fc.constantFrom(...SEPARATORS)), {
  maxLength: 12,
});

function openDatabase(): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (a); CREATE TABLE log (a)");
  return db;
}

function dump(db: DatabaseSync): unknown {
  return [
    db.prepare("SELECT * FROM t").all(),
    db.prepare("SELECT * FROM log").all(),
    db.prepare("SELECT sql FROM sqlite_schema").all(),
    db.isTransaction,
  ];
}

/** Runs what SQLite accepts, so that BEGIN in a transaction does not end the comparison. */
function tryEach(db: DatabaseSync, statements: readonly string[]): void {
  for (const statement of statements) {
    try {
      db.prepare(statement).run();
    } catch (error) {
      assert.match(String(error), /transaction/, statement);
    }
  }
}

Deno.test("splitStatements() gives native SQLite the statements the script was made of", () => {
  fc.assert(
    fc.property(script, (parts) => {
      const cut = texts(parts.map(([text, separator]) => text + separator).join(""));
      assert.equal(cut.length, parts.length);
      const [whole, pieces] = [openDatabase(), openDatabase()];
      tryEach(whole, parts.map(([text]) => text));
      tryEach(pieces, cut);
      assert.deepEqual(dump(pieces), dump(whole));
      whole.close();
      pieces.close();
    }),
    { numRuns: 100 },
  );
});

Deno.test("StatementSplitter gives the same statements however the script arrives", () => {
  const anyText = fc.array(
    fc.constantFrom(
      "'",
      '"',
      "`",
      "[",
      "]",
      ";",
      "--",
      "/*",
      "*/",
      "-",
      "/",
      "\n",
      " ",
      "a",
      "CREATE",
      "TRIGGER",
      "BEGIN",
      "END",
      "é",
    ),
    { maxLength: 60 },
  ).map((parts) => parts.join(""));
  fc.assert(
    fc.property(anyText, fc.array(fc.integer({ min: 1, max: 5 })), (text, sizes) => {
      const splitter = new StatementSplitter();
      const statements = [];
      let at = 0;
      for (const size of sizes) {
        statements.push(...splitter.push(text.slice(at, at + size)));
        at += size;
      }
      statements.push(...splitter.push(text.slice(at)));
      const end = splitter.finish();
      if (end.last !== undefined) statements.push(end.last);
      assert.deepEqual({ statements, open: end.open }, splitStatements(text));
    }),
    { numRuns: 2_000 },
  );
});
