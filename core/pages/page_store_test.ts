import { deepStrictEqual, ok, strictEqual, throws } from "node:assert/strict";
import { encodeActivate, encodeCreate, encodeDrop, encodePages } from "./entry_body.ts";
import { PageStore } from "./page_store.ts";

const PAGE_SIZE = 512;

/** A log of bodies: entry i lies at position i * 100,000. */
class Bench {
  readonly store: PageStore;
  index = 0;

  constructor(store = new PageStore()) {
    this.store = store;
  }

  append(body: Uint8Array): number {
    this.index++;
    this.store.append({ index: this.index, body, bodyPosition: this.index * 100_000 });
    return this.index;
  }

  create(name: string, staged = false): number {
    return this.append(encodeCreate({ name, staged, pageSize: PAGE_SIZE, wallMs: 0 }));
  }

  pages(databaseId: number, pageNumbers: number[], pageCount: number, entryBytesMax = 1_000_000): number {
    const frames = pageNumbers.map((pageNumber) => ({ pageNumber, bytes: new Uint8Array(PAGE_SIZE) }));
    const options = { databaseId, pageSize: PAGE_SIZE, pageCount, entryBytesMax, wallMs: 0 };
    for (const body of encodePages(frames, options)) this.append(body);
    return this.index;
  }

  dropFrom(index: number): void {
    this.store.dropFrom(index);
    this.index = index - 1;
  }
}

Deno.test("PageStore: nothing is seen before it is published (promise 2)", () => {
  const bench = new Bench();
  const id = bench.create("a");
  strictEqual(bench.store.find("a"), undefined);
  ok(bench.store.findAtTip("a"));
  bench.store.publish(id);
  const write = bench.pages(id, [1, 2], 2);
  const database = bench.store.find("a");
  strictEqual(database?.pageCount, 0);
  strictEqual(database?.tipPageCount, 2);
  bench.store.publish(write);
  strictEqual(database?.pageCount, 2);
});

Deno.test("PageStore: a view keeps its index while the database moves on (promise 3)", () => {
  const bench = new Bench();
  const id = bench.create("a");
  const first = bench.pages(id, [1], 1);
  bench.store.publish(first);
  const database = bench.store.find("a");
  ok(database);
  const view = database.openView();
  for (let i = 0; i < 5; i++) bench.store.publish(bench.pages(id, [1], 1));
  strictEqual(database.oldestView, first);
  ok(database.pages.locate(1, view.index) !== database.pages.locate(1, bench.index));
  view.close();
  strictEqual(database.oldestView, bench.index);
  throws(() => view.close(), /closed twice/);
});

Deno.test("PageStore.dropFrom() takes back writes, creations, drops and activations of a lost tail", () => {
  const bench = new Bench();
  const a = bench.create("a");
  const staged = bench.create("a", true);
  bench.pages(staged, [1], 1);
  bench.store.publish(bench.pages(a, [1], 1));
  const cut = bench.index + 1;
  bench.pages(a, [1, 2], 2);
  bench.append(encodeActivate({ databaseId: staged, wallMs: 0 }));
  strictEqual(bench.store.findAtTip("a")?.id, staged);
  bench.create("b");
  bench.append(encodeDrop({ databaseId: staged, wallMs: 0 }));
  strictEqual(bench.store.findAtTip("a"), undefined);
  bench.dropFrom(cut);
  strictEqual(bench.store.findAtTip("a")?.id, a);
  strictEqual(bench.store.findAtTip("a")?.tipPageCount, 1);
  strictEqual(bench.store.findAtTip("b"), undefined);
  bench.store.publish(bench.pages(a, [1], 3));
  strictEqual(bench.store.find("a")?.pageCount, 3);
});

Deno.test("PageStore.dropFrom() refuses to touch what is published (promise 2)", () => {
  const bench = new Bench();
  bench.store.publish(bench.create("a"));
  throws(() => bench.dropFrom(1), /published up to 1/);
});

Deno.test("PageStore: a transaction of several entries takes effect with its last one", () => {
  const bench = new Bench();
  const id = bench.create("a");
  const last = bench.pages(id, [1, 2, 3, 4], 4, 1_200);
  ok(last > id + 1, "the transaction was cut");
  bench.store.publish(last - 1);
  strictEqual(bench.store.find("a")?.pageCount, 0);
  bench.store.publish(last);
  const database = bench.store.find("a");
  strictEqual(database?.pageCount, 4);
  deepStrictEqual([...(database?.pages.newestAt(last).pageNumbers ?? [])], [1, 2, 3, 4]);
});

Deno.test("PageStore: parts of a transaction whose leader died are void once the next one begins", () => {
  const bench = new Bench();
  const id = bench.create("a");
  bench.pages(id, [1, 2, 3, 4], 4, 1_200);
  bench.dropFrom(bench.index);
  const next = bench.pages(id, [1], 1);
  bench.store.publish(next);
  deepStrictEqual([...(bench.store.find("a")?.pages.newestAt(next).pageNumbers ?? [])], [1]);
});

Deno.test("PageStore: creating a name that exists changes nothing; a dropped name can be used again", () => {
  const bench = new Bench();
  const first = bench.create("a");
  bench.create("a");
  bench.store.publish(bench.index);
  strictEqual(bench.store.find("a")?.id, first);
  bench.append(encodeDrop({ databaseId: first, wallMs: 0 }));
  const second = bench.create("a");
  bench.store.publish(bench.index);
  strictEqual(bench.store.find("a")?.id, second);
  deepStrictEqual(bench.store.takeGone().map((database) => database.id), [first]);
});

Deno.test("PageStore: a dropped database stays until its last view is closed", () => {
  const bench = new Bench();
  const id = bench.create("a");
  bench.store.publish(bench.pages(id, [1], 1));
  const database = bench.store.find("a");
  ok(database);
  const view = database.openView();
  bench.store.publish(bench.append(encodeDrop({ databaseId: id, wallMs: 0 })));
  strictEqual(bench.store.find("a"), undefined);
  deepStrictEqual(bench.store.takeGone(), []);
  view.close();
  deepStrictEqual(bench.store.takeGone(), [database]);
});

Deno.test("PageStore: a database has the plain file name unless another one has it, or it is staged", () => {
  const bench = new Bench();
  const first = bench.create("a");
  bench.store.publish(bench.pages(first, [1], 1));
  const old = bench.store.get(first)!;
  ok(bench.store.mayHavePlainFile(old));
  old.checkpointed({ index: old.published, pageCount: 1 });
  const view = old.openView();
  bench.append(encodeDrop({ databaseId: first, wallMs: 0 }));
  const second = bench.create("a");
  bench.store.publish(bench.pages(second, [1], 1));
  const fresh = bench.store.get(second)!;
  strictEqual(bench.store.mayHavePlainFile(fresh), false, "a view still reads the old file");
  view.close();
  bench.store.takeGone();
  ok(bench.store.mayHavePlainFile(fresh));
});

Deno.test("PageStore: entries at or below a checkpoint are in the file and are not indexed again", () => {
  const store = new PageStore([{ databaseId: 1, name: "main", pageSize: 512, index: 3, pageCount: 2 }]);
  const bench = new Bench(store);
  const id = bench.create("a");
  bench.pages(id, [1], 1);
  bench.pages(id, [2], 2);
  bench.pages(id, [1], 2);
  store.publish(bench.index);
  const database = store.find("a");
  deepStrictEqual([...(database?.pages.newestAt(bench.index).pageNumbers ?? [])], [1]);
  strictEqual(database?.pageCount, 2);
});

Deno.test("PageStore.dropFrom() gives back a begun transaction although its database was not written since", () => {
  const bench = new Bench();
  const id = bench.create("a");
  const parts = encodePages(
    [1, 2].map((pageNumber) => ({ pageNumber, bytes: new Uint8Array(PAGE_SIZE) })),
    { databaseId: id, pageSize: PAGE_SIZE, pageCount: 2, entryBytesMax: 1, wallMs: 0 },
  );
  const begun = bench.append(parts[0]!);
  bench.store.publish(begun);
  bench.store.beginTerm(begun + 1);
  strictEqual(bench.store.isInsideTransaction, true, "the new term may be lost");
  bench.dropFrom(begun + 1);
  bench.store.publish(bench.append(parts[1]!));
  strictEqual(bench.store.find("a")?.pageCount, 2);
  strictEqual(bench.store.isInsideTransaction, false);
});
