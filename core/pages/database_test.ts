import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { NodeError } from "../base/errors.ts";
import { Database } from "./database.ts";
import { decodeEntryBody, encodePages, type PagesBody } from "./entry_body.ts";

const PAGE = 512;

function body(pageNumbers: readonly number[], pageCount: number): PagesBody {
  const frames = pageNumbers.map((pageNumber) => ({ pageNumber, bytes: new Uint8Array(PAGE) }));
  const [bytes] = encodePages(frames, {
    databaseId: 1,
    pageSize: PAGE,
    pageCount,
    wallMs: 0,
    entryBytesMax: 1e6,
  });
  return decodeEntryBody(bytes!) as PagesBody;
}

function append(database: Database, index: number, pageNumbers = [1], pageCount = 1): void {
  database.append(index, body(pageNumbers, pageCount), index * 1_000);
}

Deno.test("Database: a reader's sequence number stays good through publishing, and ends with a checkpoint", () => {
  const database = new Database(1, "main", PAGE, true);
  const begin = database.deltaEnd;
  for (const index of [2, 3, 4]) append(database, index);
  deepStrictEqual(database.deltasSince(begin), [], "what is not published is nobody's business");
  database.publish(3);
  deepStrictEqual(database.deltasSince(begin)!.map(({ index }) => index), [2, 3]);
  const middle = database.deltaEnd;
  database.publish(4);
  deepStrictEqual(database.deltasSince(middle)!.map(({ index }) => index), [4]);
  const end = database.deltaEnd;
  database.checkpointed({ index: 4, pageCount: 1 });
  strictEqual(database.deltasSince(begin), undefined);
  strictEqual(
    database.deltasSince(end),
    undefined,
    "also a reader that was up to date must hear of the new file",
  );
  const anew = database.deltaEnd;
  append(database, 5);
  database.publish(5);
  deepStrictEqual(database.deltasSince(anew)!.map(({ index }) => index), [5]);
});

Deno.test("Database: a checkpoint while entries wait for their commit numbers the deltas after it from where it ended", () => {
  const database = new Database(1, "main", PAGE, true);
  append(database, 2);
  database.publish(2);
  append(database, 3);
  database.checkpointed({ index: 2, pageCount: 1 });
  const anew = database.deltaEnd;
  database.publish(3);
  deepStrictEqual(database.deltasSince(anew)!.map(({ index }) => index), [3]);
  strictEqual(database.pages.locate(1, 3), 3_000 + 56);
});

Deno.test("Database: a reader that is too far behind gets the whole index", () => {
  const database = new Database(1, "main", PAGE, true);
  const begin = database.deltaEnd;
  for (let index = 2; index < 5_000; index++) append(database, index);
  database.publish(5_000);
  strictEqual(database.deltasSince(begin), undefined);
  strictEqual(database.deltasSince(database.deltaEnd - 10)!.length, 10);
});

Deno.test("Database: what a checkpoint could not copy, because of an open view, still asks for the next one", () => {
  const database = new Database(1, "main", PAGE, true);
  append(database, 2, [1, 2], 2);
  database.publish(2);
  const view = database.openView();
  append(database, 3, [2], 2);
  database.publish(3);
  strictEqual(database.oldestView, 2);
  database.checkpointed({ index: 2, pageCount: 2 });
  strictEqual(database.bytesSinceCheckpoint, PAGE);
  view.close();
  strictEqual(database.oldestView, 3);
  database.checkpointed({ index: 3, pageCount: 2 });
  strictEqual(database.bytesSinceCheckpoint, 0);
});

Deno.test("Database refuses a checkpoint that goes back, and a view that is closed twice", () => {
  const database = new Database(1, "main", PAGE, true);
  append(database, 2);
  database.publish(2);
  database.checkpointed({ index: 2, pageCount: 1 });
  throws(() => database.checkpointed({ index: 1, pageCount: 1 }), /went back/);
  const view = database.openView();
  view.close();
  throws(() => view.close(), /View of main closed twice/);
});

Deno.test("Database keeps the past that is retained, and refuses what is gone", () => {
  const history = { from: 3, viewed: new Set<Database>() };
  const database = new Database(1, "main", PAGE, true, undefined, history);
  for (let index = 2; index <= 6; index++) append(database, index);
  database.publish(6);
  strictEqual(database.oldestNeeded, 3);
  strictEqual(database.openView(3).index, 3);
  strictEqual(database.openView(50).index, 6);
  history.from = 5;
  strictEqual(database.oldestNeeded, 3, "the open view");
  strictEqual(database.expireBefore(5), 1);
  strictEqual(database.releaseHistory(), 5);
  throws(() => database.openView(4), (error) => error instanceof NodeError && error.code === "view_expired");
});

Deno.test("Database: a view holds the log it may still read, also when a checkpoint has copied it (promise 3)", () => {
  const database = new Database(1, "main", PAGE, true);
  append(database, 2);
  database.publish(2);
  const first = database.oldestPosition!;
  const view = database.openView();
  database.checkpointed({ index: 2, pageCount: 1 });
  strictEqual(database.oldestPosition, undefined);
  strictEqual(database.neededPosition, first);
  view.close();
  strictEqual(database.neededPosition, Infinity);
});

Deno.test("Database: the log may begin in the middle of a transaction that is in the file", () => {
  const database = new Database(1, "main", PAGE, true, { index: 5, pageCount: 2 });
  const continued = { ...body([1], 0), first: false, last: false };
  strictEqual(database.append(4, continued, 400), undefined);
  strictEqual(database.append(5, { ...continued, last: true }, 500), undefined);
  // Its leader may never have finished it: only an end without a beginning is wrong.
  strictEqual(database.append(6, continued, 600), undefined);
  throws(() => database.append(7, { ...continued, last: true }, 700), /whose beginning is missing/);
});

Deno.test("Database: a checkpoint between the entries of a large transaction takes none of them away", () => {
  const database = new Database(1, "main", PAGE, true, { index: 5, pageCount: 1 });
  const parts = encodePages([1, 2].map((pageNumber) => ({ pageNumber, bytes: new Uint8Array(PAGE) })), {
    wallMs: 0,
    databaseId: 1,
    pageSize: PAGE,
    pageCount: 2,
    entryBytesMax: 1,
  });
  const [first, last] = parts.map((part) => decodeEntryBody(part) as PagesBody);
  strictEqual(database.append(5, first!, 500), undefined);
  deepStrictEqual([4, 5].map((index) => database.isInsideTransaction(index)), [false, true]);
  const delta = database.append(6, last!, 600);
  deepStrictEqual([...delta!.pageNumbers], [1, 2]);
  deepStrictEqual([4, 5, 6].map((index) => database.isInsideTransaction(index)), [false, true, false]);
});

Deno.test("Database: a lost tail gives back the begun transaction that it had ended, replaced or made void", () => {
  const [first, last] = encodePages(
    [1, 2].map((pageNumber) => ({ pageNumber, bytes: new Uint8Array(PAGE) })),
    { wallMs: 0, databaseId: 1, pageSize: PAGE, pageCount: 2, entryBytesMax: 1 },
  ).map((part) => decodeEntryBody(part) as PagesBody);
  const tails: Record<string, (database: Database) => void> = {
    ended: (database) => void database.append(6, last!, 600),
    replaced: (database) => append(database, 6),
    "made void": (database) => void database.voidOpenTransaction(6),
    "made void, and then others": (database) => {
      database.voidOpenTransaction(6);
      append(database, 7);
      database.append(8, first!, 800);
    },
  };
  for (const [what, tail] of Object.entries(tails)) {
    const database = new Database(1, "main", PAGE, true);
    database.append(5, first!, 500);
    database.publish(5);
    tail(database);
    strictEqual(database.isInsideTransaction(5), true, `${what}, and none of it is certain`);
    database.dropFrom(6);
    deepStrictEqual(
      [...database.append(6, last!, 650)!.positions],
      [500, 650].map((at) => at + 40 + 16),
      what,
    );
    database.publish(6);
    strictEqual(database.isInsideTransaction(6), false, what);
  }
});
