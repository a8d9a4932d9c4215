import assert from "node:assert/strict";
import {
  type EngineConnection,
  type EngineFile,
  type EngineFileKind,
  EngineLimit,
  type EngineModule,
  EngineOption,
  ResultCode,
  SqliteError,
  StorageClass,
} from "../../core/sql/engine.ts";

const PAGE_BYTES = 4096;

/** A file system that keeps what SQLite writes and notes what it does. */
class RecordingFiles {
  readonly files = new Map<string, RecordedFile>();
  readonly calls: string[] = [];
  failWith: Error | undefined;

  open(kind: EngineFileKind): EngineFile {
    const name = kind === "temporary" ? `temporary ${this.files.size}` : kind;
    const known = this.files.get(name);
    if (known !== undefined) return known;
    const file = new RecordedFile(this, name);
    this.files.set(name, file);
    return file;
  }

  exists(kind: EngineFileKind): boolean {
    return kind === "database";
  }
}

class RecordedFile implements EngineFile {
  isFull = false;
  #room = new Uint8Array(0);
  #size = 0;

  constructor(readonly owner: RecordingFiles, readonly name: string) {}

  get bytes(): Uint8Array {
    return this.#room.subarray(0, this.#size);
  }

  read(into: Uint8Array, offset: number): number {
    if (this.owner.failWith !== undefined) throw this.owner.failWith;
    const found = this.bytes.subarray(offset, offset + into.length);
    into.set(found);
    return found.length;
  }

  write(bytes: Uint8Array, offset: number): boolean {
    if (this.isFull) return false;
    this.owner.calls.push(`${this.name} write`);
    const end = offset + bytes.length;
    if (end > this.#room.length) {
      const grown = new Uint8Array(2 * end);
      grown.set(this.bytes);
      this.#room = grown;
    }
    this.#size = Math.max(this.#size, end);
    this.#room.set(bytes, offset);
    return true;
  }

  truncate(size: number): void {
    this.#room.fill(0, size);
    this.#size = size;
  }

  size(): number {
    return this.#size;
  }

  committed(): void {
    this.owner.calls.push(`${this.name} committed`);
  }

  close(): void {}
}

/** A database whose page 2 appears as a page far beyond 4 GiB. */
class FarFiles extends RecordingFiles {
  static readonly farPage = 1_100_000;
  readonly offsets: number[] = [];

  override open(kind: EngineFileKind): EngineFile {
    const near = super.open(kind);
    if (kind !== "database") return near;
    const end = FarFiles.farPage * PAGE_BYTES;
    const place = (offset: number): number => {
      if (offset < 2 * PAGE_BYTES) return offset;
      this.offsets.push(offset);
      return offset - end + 2 * PAGE_BYTES;
    };
    return {
      read: (into, offset) => near.read(into, place(offset)),
      write: (bytes, offset) => near.write(bytes, place(offset)),
      truncate: (size) => assert.equal(size, end),
      size: () => end,
      committed: () => near.committed(),
      close: () => near.close(),
    };
  }
}

async function openWriter(
  module: EngineModule,
  files = new RecordingFiles(),
): Promise<{ files: RecordingFiles; connection: EngineConnection }> {
  const engine = await module.createInstance({
    fileSystem: files,
    clock: { wallMs: () => Date.UTC(2026, 0, 2, 3, 4, 5) },
    random: { bytes: (length) => new Uint8Array(length).fill(7) },
    heapBytesMax: 64 * 1024 * 1024,
  });
  const connection = engine.open("read_write");
  run(connection, "PRAGMA locking_mode = EXCLUSIVE");
  run(connection, `PRAGMA page_size = ${PAGE_BYTES}`);
  assert.deepEqual(run(connection, "PRAGMA journal_mode = WAL"), [["wal"]]);
  run(connection, "PRAGMA synchronous = OFF");
  return { files, connection };
}

/** Rows of one statement, text decoded. */
function run(connection: EngineConnection, sql: string): unknown[][] {
  const { statement } = connection.prepare(sql, false);
  if (statement === undefined) return [];
  const rows: unknown[][] = [];
  try {
    while (statement.step()) {
      rows.push(Array.from({ length: statement.columnCount() }, (_, column) => {
        const type = statement.columnType(column);
        if (type === StorageClass.null) return null;
        if (type === StorageClass.integer) return statement.columnInteger(column);
        if (type === StorageClass.real) return statement.columnReal(column);
        if (type === StorageClass.blob) return statement.columnBlob(column).slice();
        return new TextDecoder("utf-8", { ignoreBOM: true }).decode(statement.columnText(column));
      }));
    }
  } finally {
    statement.reset();
    statement.finalize();
  }
  return rows;
}

function sqliteError(call: () => unknown): SqliteError {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof SqliteError, String(error));
    return error;
  }
  throw new Error("The call succeeded");
}

/** What every engine behind `core/sql/engine.ts` must do. */
export function sqlEngineContract(name: string, load: () => EngineModule): void {
  const test = (what: string, body: () => Promise<void>): void => Deno.test(`${name}: ${what}`, body);

  test("64-bit integers, REAL, text with NUL, blobs and NULL come back as they were bound", async () => {
    const { connection } = await openWriter(load());
    const { statement } = connection.prepare("SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?", false);
    assert.ok(statement !== undefined);
    statement.bindInteger(0, 2n ** 63n - 1n);
    statement.bindInteger(1, -(2n ** 63n));
    statement.bindInteger(2, Number.MIN_SAFE_INTEGER);
    statement.bindReal(3, -0);
    statement.bindReal(4, Infinity);
    statement.bindText(5, "a\0b\uFEFF€𝄞");
    statement.bindBlob(6, Uint8Array.of(0, 255));
    statement.bindBlob(7, new Uint8Array(0));
    statement.bindNull(8);
    assert.equal(statement.step(), true);
    assert.deepEqual(Array.from({ length: 9 }, (_, column) => statement.columnType(column)), [
      ...[
        StorageClass.integer,
        StorageClass.integer,
        StorageClass.integer,
        StorageClass.real,
        StorageClass.real,
      ],
      ...[StorageClass.text, StorageClass.blob, StorageClass.blob, StorageClass.null],
    ]);
    assert.equal(statement.columnInteger(0), 2n ** 63n - 1n);
    assert.equal(statement.columnInteger(1), -(2n ** 63n));
    assert.equal(statement.columnInteger(2), Number.MIN_SAFE_INTEGER);
    assert.ok(Object.is(statement.columnReal(3), -0));
    assert.equal(statement.columnReal(4), Infinity);
    assert.deepEqual(statement.columnText(5).slice(), new TextEncoder().encode("a\0b\uFEFF€𝄞"));
    assert.deepEqual(statement.columnBlob(6).slice(), Uint8Array.of(0, 255));
    assert.equal(statement.columnBlob(7).length, 0);
    assert.equal(statement.step(), false);
    statement.finalize();
    connection.close();
  });

  test("text and blobs larger than any buffer it keeps are bound whole", async () => {
    const { connection } = await openWriter(load());
    const text = "€x".repeat(100_000);
    const { statement } = connection.prepare("SELECT length(?1), length(?2), ?1 = ?3", false);
    statement!.bindText(0, text);
    statement!.bindBlob(1, new Uint8Array(300_000));
    statement!.bindText(2, text);
    statement!.step();
    assert.deepEqual([0, 1, 2].map((column) => statement!.columnInteger(column)), [200_000, 300_000, 1]);
    statement!.finalize();
  });

  test("an error has SQLite's extended code, its message and the offset in the text", async () => {
    const { connection } = await openWriter(load());
    const syntax = sqliteError(() => connection.prepare("SELECT 1 +* 2", false));
    assert.deepEqual([syntax.resultCode, syntax.sqlOffset], [ResultCode.error, 10]);
    assert.match(syntax.message, /near "\*"/);
    run(connection, "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)");
    run(connection, "INSERT INTO t VALUES (1, 1)");
    assert.equal(sqliteError(() => run(connection, "INSERT INTO t VALUES (1, 2)")).resultCode, 1555);
    assert.equal(sqliteError(() => run(connection, "INSERT INTO t VALUES (2, 1)")).resultCode, 2067);
    assert.deepEqual(run(connection, "SELECT a FROM t"), [[1]]);
  });

  test("prepare gives the rest of the text, and no statement for a comment", async () => {
    const { connection } = await openWriter(load());
    assert.equal(connection.prepare("SELECT 'ä'; SELECT 2", false).rest, " SELECT 2");
    assert.equal(connection.prepare("-- nothing", false).statement, undefined);
  });

  test("a commit is reported once by the database file, after its frames; a rollback is not", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    files.calls.length = 0;
    run(connection, "INSERT INTO t VALUES (1)");
    assert.equal(files.calls.at(-1), "database committed");
    assert.deepEqual([...new Set(files.calls.slice(0, -1))], ["wal write"]);
    files.calls.length = 0;
    run(connection, "BEGIN");
    run(connection, "INSERT INTO t VALUES (2)");
    assert.equal(connection.isAutocommit(), false);
    run(connection, "ROLLBACK");
    assert.deepEqual(files.calls.filter((call) => call.endsWith("committed")), []);
  });

  test("a file that throws is an I/O error, and the cause is kept", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    connection.checkpointTruncate();
    const engine = await load().createInstance({
      fileSystem: files,
      clock: { wallMs: () => 0 },
      random: { bytes: (length) => new Uint8Array(length) },
      heapBytesMax: 2 ** 25,
    });
    const reader = engine.open("read_only");
    assert.equal(reader.failure, undefined);
    files.failWith = new Error("disk gone");
    assert.equal(sqliteError(() => run(reader, "SELECT * FROM t")).primaryCode, ResultCode.ioError);
    assert.equal(reader.failure, files.failWith);
  });

  test("a file that is full fails the transaction and nothing else", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    files.files.get("wal")!.isFull = true;
    assert.equal(sqliteError(() => run(connection, "INSERT INTO t VALUES (1)")).primaryCode, ResultCode.full);
    files.files.get("wal")!.isFull = false;
    run(connection, "INSERT INTO t VALUES (2)");
    assert.deepEqual(run(connection, "SELECT a FROM t"), [[2]]);
    assert.equal(connection.failure, undefined);
  });

  test("time and randomness come from the ports", async () => {
    const draw = async (): Promise<unknown[][]> => {
      const { connection } = await openWriter(load());
      return run(connection, "SELECT datetime('now'), random(), hex(randomblob(4))");
    };
    const first = await draw();
    assert.equal(first[0]![0], "2026-01-02 03:04:05");
    assert.deepEqual(await draw(), first);
  });

  test("the authorizer sees every access and can deny it", async () => {
    const { connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    const seen: string[] = [];
    connection.setAuthorizer((action, first, second) => {
      seen.push(`${action} ${first} ${second}`.trim());
      return first === "t" && second === "a" ? "deny" : "allow";
    });
    assert.equal(sqliteError(() => connection.prepare("SELECT /* t */ a FROM t", false)).primaryCode, 23);
    assert.deepEqual(seen, ["21", "20 t a"]);
  });

  test("the progress handler stops a statement", async () => {
    const { connection } = await openWriter(load());
    let looks = 0;
    connection.setProgressHandler(1_000, () => ++looks >= 5);
    const endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) FROM c";
    assert.equal(sqliteError(() => run(connection, endless)).primaryCode, ResultCode.interrupt);
    assert.equal(looks, 5);
  });

  test("changes, row ids and limits", async () => {
    const { connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a INTEGER PRIMARY KEY)");
    run(connection, `INSERT INTO t VALUES (1), (${2n ** 62n})`);
    assert.equal(connection.changes(), 2);
    assert.equal(connection.totalChanges(), 2);
    assert.equal(connection.lastInsertRowid(), 2n ** 62n);
    connection.clearLastInsertRowid();
    assert.equal(connection.lastInsertRowid(), 0);
    assert.equal(connection.setLimit(EngineLimit.compoundSelects, 2), 500);
    assert.throws(() => run(connection, "SELECT 1 UNION SELECT 2 UNION SELECT 3"), /too many terms/);
    connection.setOption(EngineOption.defensive, true);
    run(connection, "PRAGMA writable_schema = ON");
    assert.throws(() => run(connection, "DELETE FROM sqlite_schema"), /may not be modified/);
  });

  test("memory beyond the limit of the instance is refused, and the instance lives", async () => {
    const { connection } = await openWriter(load());
    assert.equal(
      sqliteError(() => run(connection, "SELECT randomblob(80000000)")).primaryCode,
      ResultCode.noMemory,
    );
    assert.deepEqual(run(connection, "SELECT length(randomblob(1000000))"), [[1_000_000]]);
  });

  test("FTS5, JSON, window functions, RETURNING, UPSERT and STRICT tables are there", async () => {
    const { connection } = await openWriter(load());
    run(connection, "CREATE VIRTUAL TABLE f USING fts5(body)");
    run(connection, "INSERT INTO f VALUES ('the quick fox'), ('a slow snail')");
    assert.deepEqual(run(connection, "SELECT highlight(f, 0, '<', '>') FROM f('quick')"), [[
      "the <quick> fox",
    ]]);
    assert.deepEqual(run(connection, `SELECT '{"a":[1,2]}' ->> '$.a[1]'`), [[2]]);
    assert.deepEqual(run(connection, "SELECT sum(column1) OVER (ORDER BY column1) FROM (VALUES (1), (2))"), [[
      1,
    ], [3]]);
    run(connection, "CREATE TABLE s(id INTEGER PRIMARY KEY, n INT DEFAULT 0) STRICT");
    const upsert = "INSERT INTO s(id) VALUES (1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n";
    assert.deepEqual([run(connection, upsert), run(connection, upsert)], [[[0]], [[1]]]);
  });

  test("declared types are known as written, or not at all", async () => {
    const module = load();
    const { connection } = await openWriter(module);
    run(connection, "CREATE TABLE t(a INTEGER PRIMARY KEY, b VarChar(20), c, d BOOLEAN)");
    const { statement } = connection.prepare("SELECT a, b, c, d AS e, a + 1 FROM t", false);
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((column) => statement!.declaredType(column)),
      module.knowsDeclaredTypes
        ? ["INTEGER", "VarChar(20)", undefined, "BOOLEAN", undefined]
        : Array(5).fill(undefined),
    );
    statement!.finalize();
  });

  test("the depth of expressions is limited by the engine, where it can", async () => {
    const module = load();
    const { connection } = await openWriter(module);
    const known = module.limitsExpressionDepth;
    assert.equal(connection.setLimit(EngineLimit.expressionDepth, 20), known ? 1_000 : 0);
    assert.equal(connection.setLimit(EngineLimit.expressionDepth, 20), known ? 20 : 0);
    const deep = (): unknown[][] => run(connection, `SELECT 1${"+1".repeat(30)}`);
    if (known) assert.match(sqliteError(deep).message, /maximum depth 20/);
    else assert.deepEqual(deep(), [[31]]);
  });

  test("calls nested deeper than C's own stack of 512 KiB do not run into the data of the instance", async () => {
    const { connection } = await openWriter(load());
    const levels = 850;
    run(connection, "BEGIN");
    run(connection, "CREATE TABLE t0(a)");
    for (let level = 1; level <= levels; level += 1) {
      run(connection, `CREATE TABLE t${level}(a)`);
      const action = `INSERT INTO t${level} VALUES (new.a + 1)`;
      run(connection, `CREATE TRIGGER r${level} AFTER INSERT ON t${level - 1} BEGIN ${action}; END`);
    }
    run(connection, "COMMIT");
    run(connection, "INSERT INTO t0 VALUES (1)");
    assert.deepEqual(run(connection, `SELECT a FROM t${levels}`), [[levels + 1]]);
    assert.deepEqual(run(connection, "PRAGMA integrity_check"), [["ok"]]);
  });

  test("a statement that exhausts the stack costs its instance and no other (promise 7)", async () => {
    const module = load();
    const { connection } = await openWriter(module);
    const { connection: other } = await openWriter(module);
    const steps = Array.from(
      { length: 9_000 },
      (_, step) => `c${step + 1} AS (SELECT a FROM c${step} GROUP BY a)`,
    );
    const deep = `WITH c0 AS (SELECT 1 AS a), ${steps.join(", ")} SELECT * FROM c${steps.length}`;
    assert.throws(() => run(connection, deep), RangeError);
    assert.deepEqual(run(other, "SELECT 1"), [[1]]);
  });

  test("large sorts go to temporary files, not to the memory of the instance", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "PRAGMA cache_size = -64");
    const numbers = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 20000)";
    run(connection, `CREATE TABLE t AS ${numbers} SELECT hex(randomblob(100)) AS a FROM c`);
    run(connection, "CREATE INDEX ta ON t(a)");
    assert.ok(files.calls.some((call) => /^temporary \d+ write$/.test(call)));
    assert.deepEqual(run(connection, "PRAGMA integrity_check"), [["ok"]]);
  });

  test("a checkpoint moves all pages to the database and empties the WAL, whatever the authorizer says", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    run(connection, "INSERT INTO t VALUES (7)");
    const asked: number[] = [];
    connection.setAuthorizer((action) => {
      asked.push(action);
      return "deny";
    });
    connection.checkpointTruncate();
    assert.deepEqual(asked, []);
    assert.equal(files.files.get("wal")!.bytes.length, 0);
    const pages = new TextDecoder("latin1").decode(files.files.get("database")!.bytes);
    assert.ok(pages.startsWith("SQLite format 3\0") && pages.includes("CREATE TABLE t(a)"));
    connection.setAuthorizer(() => "allow");
    run(connection, "BEGIN");
    run(connection, "INSERT INTO t VALUES (8)");
    assert.throws(() => connection.checkpointTruncate(), SqliteError);
    run(connection, "COMMIT");
    assert.deepEqual(run(connection, "SELECT a FROM t"), [[7], [8]]);
  });

  test("pages beyond 4 GiB are read and written at their place", async () => {
    const { files, connection } = await openWriter(load());
    run(connection, "CREATE TABLE t(a)");
    run(connection, "INSERT INTO t VALUES (7)");
    run(connection, "PRAGMA writable_schema = ON");
    run(connection, `UPDATE sqlite_schema SET rootpage = ${FarFiles.farPage}`);
    connection.checkpointTruncate();
    const far = new FarFiles();
    far.files.set("database", files.files.get("database")!);
    const bytes = far.files.get("database")!.bytes;
    new DataView(bytes.buffer).setUint32(28, FarFiles.farPage);
    const { connection: second } = await openWriter(load(), far);
    assert.deepEqual(run(second, "SELECT a FROM t"), [[7]]);
    run(second, "UPDATE t SET a = 8");
    second.checkpointTruncate();
    assert.deepEqual(far.offsets, Array(2).fill((FarFiles.farPage - 1) * PAGE_BYTES));
    assert.deepEqual(run(second, "SELECT a FROM t"), [[8]]);
  });

  test("what was bound and what is read survive the growth of the memory in between", async () => {
    const { connection } = await openWriter(load());
    const { statement } = connection.prepare("SELECT ?1, zeroblob(30000000) || ?2, ?1 || 'x'", false);
    statement!.bindText(0, "bound before");
    statement!.bindBlob(1, Uint8Array.of(65));
    assert.equal(statement!.step(), true);
    const grown = statement!.columnText(1);
    assert.deepEqual([grown.length, grown.at(-1)], [30_000_001, 65]);
    const text = (column: number): string => new TextDecoder().decode(statement!.columnText(column));
    assert.deepEqual([text(0), text(2)], ["bound before", "bound beforex"]);
    statement!.finalize();
    assert.deepEqual(run(connection, "SELECT 1"), [[1]]);
  });

  test("64-bit integers keep their halves, at every power of two", async () => {
    const { connection } = await openWriter(load());
    const { statement } = connection.prepare("SELECT ?1, ?1 - 1, typeof(?1)", false);
    for (let bit = 0n; bit < 63n; bit += 1n) {
      for (const value of [2n ** bit, -(2n ** bit), 2n ** bit + 1n]) {
        statement!.bindInteger(0, value);
        statement!.step();
        assert.equal(BigInt(statement!.columnInteger(0)), value);
        assert.equal(BigInt(statement!.columnInteger(1)), value - 1n);
        statement!.reset();
        statement!.clearBindings();
      }
    }
    statement!.finalize();
  });

  test("names in double quotes are never text, and no table shows pages or statements of others", async () => {
    const { connection } = await openWriter(load());
    assert.throws(() => run(connection, 'SELECT "abc"'), /no such column/);
    assert.throws(() => run(connection, 'CREATE TABLE t(a CHECK (a <> "abc"))'), /no such column/);
    for (const table of ["sqlite_dbpage", "sqlite_stmt", "bytecode('SELECT 1')", "tables_used('SELECT 1')"]) {
      assert.throws(() => run(connection, `SELECT * FROM ${table}`), /no such table/, table);
    }
  });
}
