import { strictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { CommitNews } from "./commit_news.ts";

function bench() {
  const clock = new ManualClock();
  const told: number[] = [];
  const news = new CommitNews(clock, () => told.push(clock.nowMs()));
  return { clock, news, told };
}

Deno.test("CommitNews tells what no entries have told after two milliseconds, once", () => {
  const { clock, news, told } = bench();
  news.set(true);
  clock.advance(1);
  strictEqual(told.length, 0);
  clock.advance(1);
  strictEqual(told.length, 1);
  clock.advance(100);
  strictEqual(told.length, 1);
});

Deno.test("CommitNews says nothing while entries tell it: each piece of news has its own time", () => {
  const { clock, news, told } = bench();
  for (let round = 0; round < 50; round++) {
    news.set(true);
    clock.advance(1.5);
    news.set(false);
    clock.advance(0.2);
  }
  clock.advance(10);
  strictEqual(told.length, 0);
  strictEqual(clock.nextDueMs(), undefined);
  news.set(true);
  clock.advance(2);
  strictEqual(told.length, 1);
});

Deno.test("CommitNews says nothing once it is stopped", () => {
  const { clock, news, told } = bench();
  news.set(true);
  news.stop();
  clock.advance(10);
  strictEqual(told.length, 0);
});
