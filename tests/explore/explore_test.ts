import assert from "node:assert/strict";
import { loadCore } from "./core_copy.ts";
import { Explorer } from "./explorer.ts";
import { reportLines } from "./path_report.ts";
import { PLANTED_BUGS } from "./planted_bugs.ts";
import { type Scope, SCOPES } from "./scope.ts";
import { StateHasher } from "./state_hash.ts";
import { World } from "./world.ts";

/** A scope that reaches it has outgrown the tests. */
const STATES_MAX = 500_000;

/** With the events that change most at a node; all would take twice as long. */
const TEXTS_PROVED: ReadonlySet<string> = new Set(["divergence", "heartbeats", "duplicates", "transfer"]);

function scopeNamed(name: string): Scope {
  const scope = SCOPES.find((each) => each.name === name);
  assert.ok(scope, `There is no scope ${name}`);
  return scope;
}

for (const scope of SCOPES) {
  Deno.test(`explore ${scope.name} to its end (promise 1, promise 4): ${scope.story}`, async () => {
    const world = new World(await loadCore(), scope);
    const { complete, violation } = new Explorer(world, { depthMax: Infinity, statesMax: STATES_MAX }).run();
    assert.equal(violation, undefined, violation && reportLines(world, violation).join("\n"));
    assert.ok(complete, `Over ${STATES_MAX} states: make the scope tighter, or the bound wider`);
    assert.equal(world.spent.prove(), undefined);
    if (TEXTS_PROVED.has(scope.name)) assert.equal(world.locals.proveTexts(), undefined);
  });
}

for (const { name, scope, budget, lost, depthMax, edit, finds } of PLANTED_BUGS) {
  Deno.test(`explore finds in ${scope}: ${name}`, async () => {
    const named = scopeNamed(scope);
    const planted = { ...named, budget: { ...named.budget, ...budget }, lost: lost ?? named.lost };
    const world = new World(await loadCore([edit]), planted);
    const bounds = { depthMax: depthMax ?? Infinity, statesMax: STATES_MAX };
    const { violation } = new Explorer(world, bounds).run();
    assert.match(violation?.text ?? world.spent.prove() ?? "nothing", finds);
    // The path leads there when it is walked again: hashes and renamings have lost nothing on the way.
    if (violation !== undefined) assert.ok(reportLines(world, violation).includes(violation.text));
  });
}

Deno.test("explore has a planted bug for every scope", () => {
  const shown = new Set(PLANTED_BUGS.map(({ scope }) => scope));
  assert.deepEqual(SCOPES.filter(({ name }) => !shown.has(name)), []);
});

Deno.test("explore sees as many states with renamed nodes counted once as without", async () => {
  const core = await loadCore();
  const cold = scopeNamed("succession");
  const scope = {
    ...cold,
    lost: [],
    budget: { ...cold.budget, campaigns: 1, proposals: 1, reads: 1, crashes: 1 },
  };
  const bounds = { depthMax: 9, statesMax: STATES_MAX };

  const world = new World(core, scope);
  const hasher = new StateHasher(world, true);
  let stoodFor = 0;
  const onState = (state: Parameters<StateHasher["orbitOf"]>[0]) => void (stoodFor += hasher.orbitOf(state));
  const folded = new Explorer(world, { ...bounds, onState }).run();
  const all = new Explorer(new World(core, scope), { ...bounds, symmetric: false }).run();

  assert.equal(stoodFor, all.states);
  assert.ok(folded.states * 4 < all.states, `${folded.states} for ${all.states}`);
});

Deno.test("explore: an edit that no longer fits the source is refused", async () => {
  const edit = { file: "core/raft/raft.ts", find: "no such passage", replace: "" };
  await assert.rejects(loadCore([edit]), /"no such passage" is not there once/);
});
