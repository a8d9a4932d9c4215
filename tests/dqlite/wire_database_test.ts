/** The TypeScript client of the dqlite protocol against a real node, beside the one of HTTP. */
import { deepStrictEqual, match, ok, rejects, strictEqual, throws } from "node:assert/strict";
import { SystemClock } from "../../core/host/system_clock.ts";
import { connect } from "../../net/client/client.ts";
import type { SqlDatabase } from "../../net/client/sql_database.ts";
import { sql } from "../../net/client/sql_tag.ts";
import { isWalraftError, type WalraftError } from "../../net/client/walraft_error.ts";
import { WireDatabase, type WireOptions, type WireSocket } from "../../net/client/wire.ts";
import { ResponseType } from "../../net/dqlite/response.ts";
import { createApp } from "../../net/http/app.ts";
import { HttpMetrics } from "../../net/http/metrics.ts";
import { HttpServer } from "../../net/http/server.ts";
import { ManualRuntime } from "../support/manual_runtime.ts";
import { WireNode } from "./wire_node.ts";

/** An answer or error as what a program sees of it, without what differs from run to run. */
async function seen(call: Promise<unknown>): Promise<unknown> {
  try {
    const plain = (key: string, value: unknown) => {
      if (key === "timeMs" || key === "index" || key === "ageMs") return typeof value;
      if (value instanceof Uint8Array) return { blob: [...value] };
      return typeof value === "bigint" ? `${value}n` : Object.is(value, -0) ? "-0" : value;
    };
    return JSON.parse(JSON.stringify(await call, plain) ?? "null");
  } catch (error) {
    ok(isWalraftError(error), String(error));
    const { code, message, retry, mayHaveCommitted, details } = error;
    // An address of HTTP, which the other protocol leaves out.
    const { leader: _, ...others } = details;
    return { code, message, retry, mayHaveCommitted, details: others };
  }
}

/** What a program does with a database, whichever client it was given. */
async function transcript(db: SqlDatabase): Promise<unknown[]> {
  const steps: unknown[] = [];
  const step = async (call: Promise<unknown>) => void steps.push(await seen(call));
  await step(db.query("SELECT 1"));
  await step(db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b, at DATETIME, f BOOLEAN)"));
  await step(
    db.execute("INSERT INTO t (b, at, f) VALUES (?, 5, ?), (?, 'now', 7)", ["ä\u{1f600}", true, 2n ** 60n]),
  );
  await step(
    db.execute("INSERT INTO t (b) VALUES (?), (?), (?) RETURNING *", [
      { real: 3 },
      -0,
      new Uint8Array([0, 255]),
    ]),
  );
  await step(db.query("SELECT *, typeof(b) AS b FROM t"));
  await step(db.query("SELECT *, typeof(b) AS b FROM t", [], { rows: "arrays" }));
  await step(db.query(sql`SELECT a FROM t WHERE a <= ${2}`));
  await step(db.query("SELECT :x + $y AS n, @z AS z", { x: 1, "$y": 2.5, "@z": null }));
  await step(db.first("SELECT a FROM t WHERE a = 99"));
  await step(db.query("SELECT a FROM t WHERE 0"));
  await step(
    db.batch([
      "DELETE FROM t WHERE a = 1",
      { sql: "INSERT INTO t (b) VALUES (?) RETURNING a", params: [9007199254740993n] },
      { sql: "SELECT count(*) AS n FROM t" },
    ]),
  );
  const { index } = await db.execute("UPDATE t SET b = 1", [], { idempotencyKey: "once" });
  await step(db.execute("UPDATE t SET b = 1", [], { idempotencyKey: "once" }));
  await step(db.execute("UPDATE t SET b = 2", [], { idempotencyKey: "once" }));
  ok(db.lastIndex >= index);
  await step(db.query("SELECT sum(b) AS s FROM t", [], { level: "index", index }));
  await step(db.query("SELECT sum(b) AS s FROM t", [], { level: "index" }));
  await step(db.query("SELECT sum(b) AS s FROM t", [], { level: "stale", maxAgeMs: 60_000 }));
  await step(db.query("SELECT sum(b) AS s FROM t", [], { asOf: index }));
  await step(db.query("SELECT 1", [], { asOf: new Date(0) }));
  await step(db.query("SELEC 1"));
  await step(db.query("DELETE FROM t"));
  await step(db.query("SELECT ?", [NaN]));
  await step(db.query("SELECT ?", [1, 2]));
  await step(db.query("SELECT :a", { b: 1 }));
  await step(db.query("SELECT ?", [2n ** 63n]));
  await step(db.execute("ATTACH 'x' AS x"));
  await step(db.batch(["INSERT INTO t VALUES (9, 9, 9, 9)", "INSERT INTO t VALUES (9, 9, 9, 9)"]));
  await step(db.batch([]));
  await step(db.first("SELECT count(*) AS n FROM t"));
  db.close();
  return steps;
}

Deno.test("WireDatabase answers as the HTTP client does, whatever is asked", async () => {
  await using wire = await WireNode.start();
  const clock = new SystemClock();
  const metrics = new HttpMetrics();
  const handler = createApp(wire.node, { clock, metrics, version: "1" });
  const http = new HttpServer({ hostname: "127.0.0.1", port: wire.httpPort, handler, clock, metrics });
  try {
    const url = `http://127.0.0.1:${http.port}`;
    const overHttp = await transcript(connect(url, { database: "one", discover: false }));
    const overWire = await transcript(new WireDatabase(wire.address, { database: "one_" }));
    for (const [step, found] of overWire.entries()) {
      // Names of databases stand in messages; what is checked before sending is worded by each client.
      const text = JSON.stringify(found).replaceAll("one_", "one").replaceAll(' "params"', "");
      const expected = JSON.stringify(overHttp[step]).replaceAll(' "params"', "");
      strictEqual(withoutBodyWords(text), withoutBodyWords(expected), `step ${step}`);
    }
    deepStrictEqual([overWire.length, overHttp.length], [28, 28]);
  } finally {
    await http.stop(0);
  }
});

/** How a field of a body is named in the error of a check, which is of the protocol. */
const withoutBodyWords = (text: string): string =>
  text.includes('"code":"bad_request"') ? text.replace(/"message":.*"retry"/, '"retry"') : text;

Deno.test("WireDatabase makes more calls than it may have connections, and none when it is closed", async () => {
  await using wire = await WireNode.start();
  const db = new WireDatabase(wire.address, { database: "main", connectionsMax: 2 });
  await db.execute("CREATE TABLE t (a)");
  const many = await Promise.all(Array.from({ length: 20 }, (_, index) => db.first(`SELECT ${index} AS n`)));
  deepStrictEqual(many.map((row) => row?.n), Array.from({ length: 20 }, (_, index) => index));
  strictEqual(wire.server.connectionCount, 2);
  await rejects(db.execute("INSERT INTO t VALUES (?)", ["a\0b"]), /params\[0\].*NUL/);
  await rejects(db.query("SELECT 1", [], { level: "stale", index: 1 }), /belongs to level index/);
  await rejects(
    db.execute("INSERT INTO t VALUES (?)", [new Uint8Array(17 * 1024 * 1024)]),
    (error) => isWalraftError(error, "body_too_large") && !error.mayHaveCommitted,
  );
  strictEqual((await db.first("SELECT count(*) AS n FROM t"))?.n, 0);
  db.close();
  await rejects(db.query("SELECT 1"), /closed/);
});

/** Sockets to the node of which one breaks: when the answer to a write begins to arrive. */
function breakingDial(): { dial: WireOptions["dial"]; broken: () => number } {
  let broken = 0;
  return {
    broken: () => broken,
    dial: async (hostname, port) => {
      const socket = await Deno.connect({ hostname, port });
      return {
        write: (bytes) => socket.write(bytes),
        close: () => socket.close(),
        async read(into) {
          const count = await socket.read(into);
          if (broken > 0 || into[4] !== ResponseType.head) return count;
          broken++;
          return null;
        },
      };
    },
  };
}

Deno.test("WireDatabase sends a keyed write again after a lost connection, and it happens once (promise 5)", async () => {
  await using wire = await WireNode.start();
  const setup = new WireDatabase(wire.address, { database: "main" });
  await setup.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)");
  const { dial, broken } = breakingDial();
  const db = new WireDatabase(wire.address, { database: "main", dial: dial! });
  const { rows, replayed } = await db.execute("INSERT INTO t DEFAULT VALUES RETURNING a");
  deepStrictEqual([broken(), rows, replayed], [1, [{ a: 1 }], true]);

  const batches = breakingDial();
  const other = new WireDatabase(wire.address, { database: "main", dial: batches.dial! });
  const batch = await other.batch(["INSERT INTO t DEFAULT VALUES", "SELECT max(a) AS m FROM t"]);
  deepStrictEqual([batches.broken(), batch.replayed, batch.results[1]?.rows], [1, true, [{ m: 2 }]]);

  // Without a key nobody but the caller may decide.
  const bare = breakingDial();
  const unkeyed = new WireDatabase(wire.address, {
    database: "main",
    dial: bare.dial!,
    idempotencyKeys: false,
  });
  await rejects(unkeyed.execute("INSERT INTO t DEFAULT VALUES"), (error) => {
    ok(isWalraftError(error, "network_error"));
    return error.mayHaveCommitted && error.retry === "with_key";
  });
  // A read is asked again by itself.
  const reads = breakingDial();
  const reader = new WireDatabase(wire.address, { database: "main", dial: reads.dial! });
  strictEqual((await reader.first("SELECT count(*) AS n FROM t"))?.n, 3);
  strictEqual(reads.broken(), 1);
  for (const each of [setup, db, other, unkeyed, reader]) each.close();
});

/** A few turns, so that what was sent has arrived. */
async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 50 && !condition(); turns++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

Deno.test("WireDatabase says of a write that had to wait too long whether it may have happened", async () => {
  await using wire = await WireNode.start();
  const runtime = new ManualRuntime();
  const db = new WireDatabase(wire.address, { database: "main", connectionsMax: 1 }, runtime);
  await db.execute("CREATE TABLE t (a)");
  const holder = await wire.open("main");
  await holder.run("BEGIN IMMEDIATE");
  // The node's own answer, since the time of the client stands still: nothing was logged.
  await rejects(db.execute("INSERT INTO t VALUES (1)", [], { timeoutMs: 200 }), (error) => {
    ok(isWalraftError(error, "timeout"), String(error));
    return !error.mayHaveCommitted;
  });
  // The client's: sent, and not answered. Behind it one that was never sent.
  const sent = outcome(
    db.execute("INSERT INTO t VALUES (2)", [], { timeoutMs: 1_800, idempotencyKey: "k" }),
  );
  await until(() => false);
  const waiting = outcome(db.execute("INSERT INTO t VALUES (3)", [], { timeoutMs: 1_500 }));
  await until(() => runtime.timerCount >= 4);
  runtime.advance(1_500);
  const second = await waiting;
  deepStrictEqual([second.code, second.mayHaveCommitted, second.retry], ["timeout", false, "safe"]);
  runtime.advance(300);
  const first = await sent;
  deepStrictEqual([first.code, first.mayHaveCommitted, first.retry, first.idempotencyKey], [
    "timeout",
    true,
    "with_key",
    "k",
  ]);
  await holder.run("ROLLBACK");
  // It did happen, and the key says so.
  const again = await db.execute("INSERT INTO t VALUES (2)", [], { idempotencyKey: "k" });
  ok(again.replayed);
  deepStrictEqual((await db.query("SELECT a FROM t", [], { rows: "arrays" })).rows, [[2]]);

  // Closing ends what is under way, without trying again.
  await holder.run("BEGIN IMMEDIATE");
  const last = outcome(db.execute("INSERT INTO t VALUES (4)"));
  await until(() => false);
  db.close();
  const closed = await last;
  deepStrictEqual([closed.code, closed.mayHaveCommitted], ["invalid_argument", true]);
});

async function outcome(call: Promise<unknown>): Promise<WalraftError> {
  try {
    await call;
  } catch (error) {
    if (isWalraftError(error)) return error;
  }
  throw new Error("The call did not fail as it should");
}

Deno.test("WireDatabase leaves a node that went silent for one that answers", async () => {
  await using wire = await WireNode.start();
  const runtime = new ManualRuntime();
  const silentSocket: WireSocket = {
    read: () => new Promise<never>(() => {}),
    write: (bytes) => Promise.resolve(bytes.byteLength),
    close: () => {},
  };
  let silent = 0;
  const db = new WireDatabase(["127.0.0.1:1", wire.address], {
    database: "main",
    discover: false,
    dial: async (hostname, port) => {
      if (port !== 1) return await Deno.connect({ hostname, port });
      silent++;
      return silentSocket;
    },
  }, runtime);
  const created = db.execute("CREATE TABLE t (a)");
  await until(() => silent === 1);
  runtime.advance(2_000);
  await until(() => silent === 2);
  strictEqual(silent, 2, "the probe dialled too");
  runtime.advance(3_000);
  await created;
  strictEqual((await db.first("SELECT count(*) AS n FROM t"))?.n, 0);
  db.close();
});

Deno.test("WireDatabase tells a server of dqlite from walraft, and what is no address", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const socket of listener) {
      await socket.read(new Uint8Array(64)).catch(() => null);
      // Failure 1005 "unknown", as dqlite answers a request it does not know.
      const bytes = Uint8Array.fromHex("0200000000000000" + "ed03000000000000" + "756e6b6e6f776e00");
      await socket.write(bytes).catch(() => 0);
      await socket.read(new Uint8Array(64)).catch(() => null);
      socket.close();
    }
  })();
  const { port } = listener.addr;
  const db = new WireDatabase(`127.0.0.1:${port}`, { database: "main" });
  await rejects(db.execute("INSERT INTO t VALUES (1)"), (error) => {
    ok(isWalraftError(error, "invalid_answer"), String(error));
    match(error.message, /does not know walraft's calls/);
    return !error.mayHaveCommitted;
  });
  db.close();
  listener.close();
  await serving;
  for (const address of ["", "nowhere", "http://127.0.0.1:9001", "127.0.0.1:9001/x"]) {
    throws(() => new WireDatabase(address, { database: "main" }), /must be HOST:PORT/);
  }
  const nobody = new WireDatabase(`127.0.0.1:${port}`, { database: "main", attemptsMax: 2 });
  await rejects(nobody.execute("INSERT INTO t VALUES (1)"), (error) => {
    return isWalraftError(error, "network_error") && !error.mayHaveCommitted && error.retry === "safe";
  });
});
