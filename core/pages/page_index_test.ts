import { deepStrictEqual, strictEqual } from "node:assert/strict";
import fc from "fast-check";
import { type PageDelta, PageIndex, ZERO_PAGE } from "./page_index.ts";

/** Any number that tells the versions apart. */
function checksumOf(position: number): number {
  return 0xffff_ffff - position;
}

function delta(index: number, pageCount: number, pages: Record<number, number>): PageDelta {
  return {
    index,
    pageCount,
    pageNumbers: Uint32Array.from(Object.keys(pages), Number),
    positions: Float64Array.from(Object.values(pages)),
    checksums: Uint32Array.from(Object.values(pages), checksumOf),
  };
}

Deno.test("PageIndex locates the newest version at or below an index", () => {
  const pages = new PageIndex();
  pages.add(delta(5, 2, { 1: 100, 2: 200 }), 0);
  pages.add(delta(9, 2, { 2: 300 }), 0);
  deepStrictEqual([4, 5, 8, 9, 99].map((at) => pages.locate(2, at)), [undefined, 200, 200, 300, 300]);
  deepStrictEqual([4, 5].map((at) => pages.pageCountAt(at)), [0, 2]);
});

Deno.test("PageIndex.add() forgets versions that no view needs, and keeps the one at the oldest view", () => {
  const pages = new PageIndex();
  for (const index of [2, 4, 6, 8]) pages.add(delta(index, 1, { 1: index * 10 }), 5);
  deepStrictEqual([5, 6, 8].map((at) => pages.locate(1, at)), [40, 60, 80]);
  strictEqual(pages.versionCount, 3);
});

Deno.test("PageIndex.remove() takes back exactly one entry", () => {
  const pages = new PageIndex();
  pages.add(delta(3, 5, { 1: 10, 5: 50 }), 0);
  const before = pages.export(Infinity);
  const last = delta(4, 2, { 1: 11, 2: 21 });
  pages.add(last, 0);
  pages.remove(last);
  deepStrictEqual(pages.export(Infinity), before);
});

Deno.test("PageIndex: a page beyond a shrink reads as zeros until it is written again (promise 4)", () => {
  const pages = new PageIndex(1, 10);
  pages.add(delta(2, 10, { 8: 80 }), 0);
  pages.add(delta(3, 4, { 1: 10 }), 0);
  pages.add(delta(4, 9, { 1: 11, 9: 91 }), 0);
  deepStrictEqual([8, 9, 7, 3].map((page) => pages.locate(page, 4)), [ZERO_PAGE, 91, ZERO_PAGE, undefined]);
  strictEqual(pages.locate(8, 2), 80);
  strictEqual(pages.smallestPageCount(4), 4);
  deepStrictEqual(pages.newestAt(4), {
    pageNumbers: Uint32Array.of(1, 9),
    positions: Float64Array.of(11, 91),
    checksums: Uint32Array.of(checksumOf(11), checksumOf(91)),
  });
});

Deno.test("PageIndex.dropThrough() leaves the checkpointed versions to the file", () => {
  const pages = new PageIndex();
  pages.add(delta(2, 3, { 1: 10, 2: 20, 3: 30 }), 0);
  pages.add(delta(5, 3, { 2: 25 }), 0);
  pages.dropThrough(2);
  deepStrictEqual([1, 2, 3].map((page) => pages.locate(page, 9)), [undefined, 25, undefined]);
  strictEqual(pages.versionCount, 1);
});

/** A slow, obvious twin: every version of every page, kept for ever. */
class Model {
  readonly #entries: PageDelta[] = [];

  add(entry: PageDelta): void {
    this.#entries.push(entry);
  }

  drop(): PageDelta {
    return this.#entries.pop() as PageDelta;
  }

  get length(): number {
    return this.#entries.length;
  }

  locate(page: number, at: number): number | undefined {
    let found: number | undefined;
    let pageCount = 0;
    for (const entry of this.#entries) {
      if (entry.index > at) break;
      if (entry.pageCount < pageCount && entry.pageCount < page) found = ZERO_PAGE;
      pageCount = entry.pageCount;
      const i = entry.pageNumbers.indexOf(page);
      if (i >= 0) found = entry.positions[i];
    }
    return found;
  }
}

Deno.test("PageIndex agrees with a slow model over random entries, truncations and moves to a worker", () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        pages: fc.uniqueArray(fc.integer({ min: 1, max: 12 })),
        size: fc.integer({ min: 1, max: 12 }),
      }),
    },
    { weight: 1, arbitrary: fc.constant("drop" as const) },
    { weight: 1, arbitrary: fc.constant("move" as const) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let pages = new PageIndex();
      const model = new Model();
      let index = 0;
      for (const each of steps) {
        if (each === "move") pages = PageIndex.fromExport(pages.export(Infinity));
        else if (each === "drop") {
          if (model.length > 0) pages.remove(model.drop());
        } else {
          index++;
          const inside = each.pages.filter((page) => page <= each.size);
          const entry = delta(
            index,
            each.size,
            Object.fromEntries(inside.map((page) => [page, index * 100 + page])),
          );
          pages.add(entry, 0);
          model.add(entry);
        }
        for (let at = 0; at <= index; at++) {
          const size = pages.pageCountAt(at);
          for (let page = 1; page <= size; page++) {
            const position = model.locate(page, at);
            strictEqual(pages.locate(page, at), position);
            if (position === undefined || position === ZERO_PAGE) continue;
            strictEqual(pages.find(page, at)?.checksum, checksumOf(position));
          }
        }
      }
    }),
    { numRuns: 200 },
  );
});
