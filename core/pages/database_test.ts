import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
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
  const pinned = database.pin();
  append(database, 3, [2], 2);
  database.publish(3);
  strictEqual(database.oldestView, 2);
  database.checkpointed({ index: 2, pageCount: 2 });
  strictEqual(database.bytesSinceCheckpoint, PAGE);
  database.unpin(pinned);
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
  const index = database.pin();
  database.unpin(index);
  throws(() => database.unpin(index), /No view of main is open/);
});
