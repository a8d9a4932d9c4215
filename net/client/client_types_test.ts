/** Assertions for the type checker: the file fails `deno check` when a type of the client changes. */
import type {
  SqlParameter as CoreParameter,
  SqlParameters as CoreParameters,
  SqlValue as CoreValue,
} from "../../core/sql/values.ts";
import type { ReadLevel as CoreReadLevel } from "../../core/node/service.ts";
import type { WireDatabase } from "./wire.ts";
import {
  type AsOf,
  type BatchResult,
  type CheckpointResult,
  type Client,
  connect,
  type Database,
  type ExecuteResult,
  isWalraftError,
  type QueryResult,
  type ReadLevel,
  type Retry,
  type Sql,
  sql,
  type SqlDatabase,
  type SqlParameter,
  type SqlParameters,
  type SqlRow,
  type SqlRowArray,
  type SqlValue,
  type WalraftError,
} from "./mod.ts";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
/** Compiles only when the two types are the same. */
function same<A, B>(
  ..._proof: Equal<A, B> extends true ? [] : [{ readonly expected: B; readonly found: A }]
): void {}

interface City {
  name: string;
  people: number | bigint;
  flag: Uint8Array | null;
}

/** Never called: a program that knows one client knows the other, option by option and result by result. */
export function clientsAreAlike(overHttp: Database, overWire: WireDatabase): SqlDatabase[] {
  same<Database["query"], SqlDatabase["query"]>();
  same<WireDatabase["query"], SqlDatabase["query"]>();
  same<Database["first"], SqlDatabase["first"]>();
  same<WireDatabase["first"], SqlDatabase["first"]>();
  same<Database["execute"], SqlDatabase["execute"]>();
  same<WireDatabase["execute"], SqlDatabase["execute"]>();
  same<Database["batch"], SqlDatabase["batch"]>();
  same<WireDatabase["batch"], SqlDatabase["batch"]>();
  same<Database["close"], WireDatabase["close"]>();
  same<
    Exclude<keyof Database, keyof SqlDatabase>,
    "backup" | "restore" | "checkpoint"
  >();
  same<Exclude<keyof WireDatabase, keyof SqlDatabase>, "sawIndex">();
  return [overHttp, overWire];
}

/** Never called: its body is the test. */
export async function clientTypes(client: Client, db: Database): Promise<void> {
  same<SqlValue, CoreValue>();
  same<SqlParameter, CoreParameter>();
  same<SqlParameters, CoreParameters>();
  same<ReadLevel, CoreReadLevel>();

  const plain = connect("http://127.0.0.1:4001");
  same<typeof plain, Client>();
  const named = connect(["http://127.0.0.1:4001"], { database: "main", token: "t" });
  same<typeof named, Database>();
  same<ReturnType<typeof client.database>, Database>();

  const untyped = await db.query("SELECT 1");
  same<typeof untyped, QueryResult<SqlRow>>();
  same<typeof untyped.rows[number]["anything"], SqlValue>();

  const typed = await db.query<City>("SELECT * FROM city WHERE people > ?", [5n]);
  same<typeof typed.rows, City[]>();

  const arrays = await db.query("SELECT 1", [], { rows: "arrays" });
  same<typeof arrays.rows, SqlRowArray[]>();

  const tagged = sql<City>`SELECT * FROM city WHERE name = ${"Oslo"}`;
  same<typeof tagged, Sql<City>>();
  const inferred = await db.query(tagged);
  same<typeof inferred.rows, City[]>();

  const first = await db.first(tagged);
  same<typeof first, City | undefined>();

  const executed = await db.execute<{ id: number }>("INSERT INTO city DEFAULT VALUES RETURNING id");
  same<typeof executed, ExecuteResult<{ id: number }>>();
  same<typeof executed.lastInsertRowid, number | bigint>();

  const batch = await db.batch([
    sql`DELETE FROM city`,
    { sql: "SELECT :a", params: { a: true } },
    "SELECT 1",
  ]);
  same<typeof batch, BatchResult<SqlRow>>();

  same<ReturnType<typeof db.backup>, ReadableStream<Uint8Array>>();

  const past = await db.query<City>("SELECT * FROM city", [], { asOf: new Date() });
  same<typeof past.rows, City[]>();
  same<AsOf, number | Date | string>();
  same<Awaited<ReturnType<typeof db.checkpoint>>, CheckpointResult>();
  await db.checkpoint({ mode: "full", timeoutMs: 1 });

  const error: unknown = undefined;
  if (isWalraftError(error)) {
    same<typeof error, WalraftError>();
    same<typeof error.retry, Retry>();
  }

  // @ts-expect-error a Date is no SQLite value
  await db.query("SELECT ?", [new Date()]);
  // @ts-expect-error undefined is no SQLite value
  await db.query("SELECT ?", [undefined]);
  // @ts-expect-error an object is no value of a template
  sql`SELECT ${{ a: 1 }}`;
  // @ts-expect-error levels are a closed list
  await db.query("SELECT 1", [], { level: "strong" });
  // @ts-expect-error an index beyond 2^53 does not exist
  await db.query("SELECT 1", [], { asOf: 1n });
  // @ts-expect-error a client as a whole has no moment of the past
  connect("http://127.0.0.1:4001", { level: "as_of" });
  // @ts-expect-error modes are a closed list
  await db.checkpoint({ mode: "truncate" });
  // @ts-expect-error rows have the columns of their type only
  typed.rows[0]?.country;
  // @ts-expect-error the type of a row is an object
  await db.query<number>("SELECT 1");
  // @ts-expect-error a batch takes statements
  await db.batch([1]);
}

Deno.test("the types of the client are what the documentation says", () => {
  same<Awaited<ReturnType<Database["query"]>>["index"], number>();
});
