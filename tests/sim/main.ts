/**
 * `deno task sim`: runs seeds of the simulator until the time is over or one fails.
 *
 *   deno task sim --seed 17            one seed, with a report; --trace also tells what happened when
 *   deno task sim --minutes 5          seeds one after the other, from a random one on
 *   deno task sim --from 1 --count 200 seeds 1 to 200
 */
import { parseArgs } from "node:util";
import { type OnNote, simulate } from "./simulation.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    minutes: { type: "string" },
    from: { type: "string" },
    count: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});

function numberOf(name: "seed" | "minutes" | "from" | "count"): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number >= 0)) {
    console.error(`Cannot use --${name} ${text}: it must be a number`);
    Deno.exit(2);
  }
  return number;
}

const only = numberOf("seed");
const minutes = numberOf("minutes") ?? 1;
const from = only ?? numberOf("from") ?? Math.floor(Math.random() * 2 ** 31);
const count = only !== undefined ? 1 : numberOf("count") ?? Infinity;
const onNote: OnNote | undefined = values.trace
  ? (atMs, what) => console.log(`${String(atMs).padStart(7)} ${what}`)
  : undefined;
const startMs = performance.now();
let runs = 0;
let steps = 0;
for (let seed = from; runs < count; seed++) {
  if (count === Infinity && performance.now() - startMs > minutes * 60_000) break;
  try {
    const report = await simulate(seed, onNote);
    if (only !== undefined) console.log(JSON.stringify(report, undefined, 2));
    steps += report.steps;
  } catch (error) {
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    console.error(`Seed ${seed} failed after ${runs} sound ones in ${seconds} s:`);
    console.error(error);
    console.error(`Replay it with: deno task sim --seed ${seed}`);
    Deno.exit(1);
  }
  runs++;
}
const seconds = (performance.now() - startMs) / 1_000;
console.log(
  `${runs} seeds sound (${from} to ${from + runs - 1}): ${(runs / seconds).toFixed(2)} seeds and ` +
    `${Math.round(steps / seconds)} steps of 5 ms per second`,
);
