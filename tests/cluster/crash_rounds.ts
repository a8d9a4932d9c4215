/**
 * The crash test: a cluster of real processes under load, killed at random moments, held against a reference model.
 *
 *   deno task crash [--rounds 100] [--seed N] [--connections 8]
 *
 * A seed repeats what is done to the nodes, not the exact moment: that depends on the machine. When something is
 * found, the data folders stay, with the log of each node beside them, and the error says where they are.
 */
import { parseArgs } from "node:util";
import { COMMANDS } from "../../net/cli/command_specs.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { checkCluster } from "./crash_check.ts";
import { type CoveredEvent, CrashFaults } from "./crash_faults.ts";
import { CrashLoad } from "./crash_load.ts";
import { CrashModel, type Outcome } from "./crash_model.ts";
import { drawRound, type RoundPlan } from "./crash_plan.ts";
import { ProcessCluster } from "./process_cluster.ts";

export interface CrashOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly connections: number;
  readonly print: (line: string) => void;
  readonly signal?: AbortSignal;
}

export interface CrashReport {
  readonly kills: number;
  readonly writes: Readonly<Record<Outcome, number>>;
  readonly reads: number;
  readonly replays: number;
  readonly checks: number;
  readonly covered: Readonly<Record<CoveredEvent, number>>;
}

const ROUNDS_PER_CHECK = 10;
const ROUNDS_DEFAULT = 100;
const CONNECTIONS_DEFAULT = 8;
const NODE_COUNT = 3;
const WATCH_MS = 100;

/** As small as they may be, where the program has them: checkpoints, trimmed logs and snapshots belong to the test. */
const SMALLEST = ["checkpoint-bytes", "log-bytes"];

/** A quick election keeps the rounds short. */
function nodeFlags(): string[] {
  const flags = [
    "--exit-with-parent",
    "--log-level=debug",
    "--readers=1",
    "--election-timeout-ms=200",
    "--heartbeat-ms=20",
  ];
  for (const option of COMMANDS.serve.options) {
    if ("min" in option && SMALLEST.includes(option.name)) flags.push(`--${option.name}=${option.min}`);
  }
  return flags;
}

class CrashRun {
  readonly #options: CrashOptions;
  readonly #cluster: ProcessCluster;
  readonly #model = new CrashModel();
  readonly #load: CrashLoad;
  readonly #faults: CrashFaults;
  readonly #random: SeededRandom;
  #checks = 0;
  #round = 0;
  #plan: RoundPlan | undefined;

  constructor(options: CrashOptions, cluster: ProcessCluster) {
    this.#options = options;
    this.#cluster = cluster;
    this.#random = new SeededRandom(options.seed);
    const urls = cluster.nodes.map(({ url }) => url);
    this.#load = new CrashLoad(urls, this.#model, this.#random.fork(), options.connections);
    this.#faults = new CrashFaults(cluster, this.#load);
  }

  async run(): Promise<CrashReport> {
    const { rounds, signal } = this.#options;
    const onAbort = (): void => this.#load.fail(new Error("Interrupted"));
    signal?.addEventListener("abort", onAbort);
    const watch = setInterval(() => this.#faults.failIfEnded(), WATCH_MS);
    try {
      await this.#load.guard(this.#cluster.ready());
      await this.#load.guard(this.#load.createTables());
      this.#load.resume();
      for (this.#round = 1; this.#round <= rounds; this.#round++) {
        this.#plan = drawRound(this.#random.fork());
        await this.#faults.run(this.#plan, this.#round);
        if (this.#round % ROUNDS_PER_CHECK === 0 && this.#round !== rounds) {
          await this.#check();
          this.#load.resume();
        }
      }
      this.#plan = undefined;
      await this.#check();
      // Once more from the disks alone.
      await this.#faults.restartAll();
      await this.#check();
      return await this.#report();
    } catch (cause) {
      throw await this.#failure(cause);
    } finally {
      clearInterval(watch);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #check(): Promise<void> {
    await this.#load.guard(this.#cluster.ready());
    await this.#load.pause();
    await this.#load.guard(this.#cluster.ready());
    await this.#load.guard(checkCluster(this.#cluster, this.#model));
    this.#checks++;
    const { done, refused, unknown } = this.#model.tally;
    this.#options.print(
      `round ${Math.min(this.#round, this.#options.rounds)}: right after ${this.#faults.kills} kills; ` +
        `writes: ${done} done, ${unknown} unknown, ${refused} refused`,
    );
  }

  async #report(): Promise<CrashReport> {
    await this.#load.guard(this.#faults.end());
    return {
      kills: this.#faults.kills,
      writes: this.#model.tally,
      reads: this.#load.readCount,
      replays: this.#load.replayCount,
      checks: this.#checks,
      covered: this.#faults.covered,
    };
  }

  /** Ends the nodes, keeps their folders and says where they are. */
  async #failure(cause: unknown): Promise<Error> {
    this.#load.fail(cause);
    await this.#faults.end();
    await this.#load.stop();
    const { seed, rounds } = this.#options;
    const said = cause instanceof Error ? cause.message : String(cause);
    return new Error(
      `Crash test with seed ${seed} failed in round ${this.#round} of ${rounds}: ${said}\n` +
        `plan of the round: ${JSON.stringify(this.#plan)}\n` +
        `data folders and logs of the nodes: ${this.#cluster.folder}\n` +
        `again: deno task crash --rounds ${rounds} --seed ${seed}`,
      { cause },
    );
  }
}

/** Runs the rounds on a cluster of its own, and removes it when nothing was found. @throws Error that says what was */
export async function runCrashRounds(options: CrashOptions): Promise<CrashReport> {
  const cluster = new ProcessCluster(await Deno.makeTempDir({ prefix: "walraft-crash-" }), nodeFlags());
  for (let i = 0; i < NODE_COUNT; i++) cluster.addNode();
  for (const node of cluster.nodes) node.start();
  const report = await new CrashRun(options, cluster).run();
  await cluster[Symbol.asyncDispose]();
  return report;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: `${ROUNDS_DEFAULT}` },
      seed: { type: "string", default: `${crypto.getRandomValues(new Uint32Array(1))[0]}` },
      connections: { type: "string", default: `${CONNECTIONS_DEFAULT}` },
    },
  });
  const interrupted = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, () => interrupted.abort());
  const startMs = performance.now();
  console.log(`seed ${values.seed}`);
  try {
    const report = await runCrashRounds({
      rounds: Number(values.rounds),
      seed: Number(values.seed),
      connections: Number(values.connections),
      print: (line) => console.log(line),
      signal: interrupted.signal,
    });
    console.log(JSON.stringify(report));
    console.log(`${values.rounds} rounds in ${((performance.now() - startMs) / 1_000).toFixed(1)} s`);
    Deno.exit(0);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}

if (import.meta.main) await main();
