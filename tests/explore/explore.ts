/** `deno task explore`: explores scopes and prints states and depth. README.md says how to read it. */
import { parseArgs } from "node:util";
import { loadCore } from "./core_copy.ts";
import { type Exploration, Explorer } from "./explorer.ts";
import { reportLines } from "./path_report.ts";
import { type Budget, BUDGET_MAX, BUDGET_NAMES, type Scope, SCOPES, TWO_TERMS } from "./scope.ts";
import { World } from "./world.ts";

/** Some seconds. */
const DEPTH_DEFAULT = 20;

const HELP = `Explores the Raft core breadth first and checks its invariants in every state.

  --scope NAME   one of those below, or "all" for those that end; ${TWO_TERMS.name} when not given
  --depth N      events at most; ${DEPTH_DEFAULT} for ${TWO_TERMS.name}, without end otherwise
  --states N     stop at so many states; 20,000,000 when not given
  ${BUDGET_NAMES.map((name) => `--${name} N`).join("  ")}
                 other bounds than those of the scope, 0 to ${BUDGET_MAX}

${[...SCOPES, TWO_TERMS].map(({ name, story }) => `  ${name.padEnd(14)} ${story}`).join("\n")}`;

const NUMBERS = ["depth", "states", ...BUDGET_NAMES] as const;

interface Settings {
  readonly scopes: readonly Scope[];
  readonly depthMax: number;
  readonly statesMax: number;
}

function settingsOf(values: Readonly<Record<string, string | boolean | undefined>>): Settings {
  const name = values["scope"] ?? TWO_TERMS.name;
  const chosen = [...SCOPES, TWO_TERMS].filter((scope) => scope.name === name);
  const scopes = name === "all" ? SCOPES : chosen;
  if (scopes.length === 0) {
    throw new RangeError(`Cannot explore scope ${name}: see --help for those there are`);
  }
  const budget: Record<string, number> = {};
  for (const each of BUDGET_NAMES) {
    const given = numberOf(values, each);
    if (given !== undefined && given > BUDGET_MAX) {
      throw new RangeError(`Cannot use --${each} ${given}: at most ${BUDGET_MAX}`);
    }
    if (given !== undefined) budget[each] = given;
  }
  return {
    scopes: scopes.map((scope) => ({ ...scope, budget: { ...scope.budget, ...budget as Partial<Budget> } })),
    depthMax: numberOf(values, "depth") ?? (name === TWO_TERMS.name ? DEPTH_DEFAULT : Infinity),
    statesMax: numberOf(values, "states") ?? 20_000_000,
  };
}

function numberOf(
  values: Readonly<Record<string, string | boolean | undefined>>,
  name: string,
): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new RangeError(`Cannot use --${name} ${text}: give a whole number`);
}

/** Returns whether all invariants held. */
async function exploreScope(scope: Scope, { depthMax, statesMax }: Settings): Promise<boolean> {
  const budget = BUDGET_NAMES.filter((name) => scope.budget[name] > 0);
  console.log(`\n${scope.name}: ${scope.story}`);
  console.log(`at most ${budget.map((name) => `${scope.budget[name]} ${name}`).join(", ")}`);
  const world = new World(await loadCore(), scope);
  const startMs = performance.now();
  const seconds = () => ((performance.now() - startMs) / 1000).toFixed(1);
  const found = new Explorer(world, { depthMax, statesMax }).run(({ depth, states, statesTotal }) => {
    console.log(`depth ${depth}: ${states} new, ${statesTotal} in all, ${seconds()} s`);
  });
  if (found.violation !== undefined) {
    console.log(reportLines(world, found.violation).join("\n"));
    return false;
  }
  const late = world.spent.prove();
  if (late !== undefined) console.log(late);
  console.log(summary(found, world, seconds()));
  return late === undefined;
}

function summary(
  { states, transitions, depth, complete }: Exploration,
  world: World,
  seconds: string,
): string {
  const end = complete ? "complete" : "stopped at its bound";
  return `${end}: ${states} states, ${transitions} transitions, depth ${depth}, ${seconds} s; ` +
    `${world.locals.size} states of single nodes, ${world.messages.size} messages`;
}

function readSettings(): Settings | undefined {
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, { type: "string" as const }]));
  const options = { ...numbers, scope: { type: "string" as const }, help: { type: "boolean" as const } };
  try {
    const { values } = parseArgs({ args: Deno.args, options });
    if (values.help !== true) return settingsOf(values);
    console.log(HELP);
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    console.error(error.message);
    Deno.exitCode = 2;
  }
  return undefined;
}

const settings = readSettings();
for (const scope of settings?.scopes ?? []) {
  if (!await exploreScope(scope, settings!)) Deno.exitCode = 1;
}
