import { strictEqual } from "node:assert/strict";
import { parseScenario, playScenario } from "../support/scenario_runner.ts";

const FOLDER = new URL("./raft/", import.meta.url);
const isUpdating = Deno.env.get("UPDATE_SCENARIOS") === "1";

const names = [...Deno.readDirSync(FOLDER)].map(({ name }) => name).filter((name) => name.endsWith(".txt"));

for (const name of names.sort()) {
  Deno.test(`Raft scenario ${name.replace(".txt", "").replaceAll("_", " ")}`, () => {
    const file = new URL(name, FOLDER);
    const text = Deno.readTextFileSync(file);
    const played = playScenario(parseScenario(text));
    if (isUpdating) Deno.writeTextFileSync(file, played);
    else strictEqual(played, text, `${name} went another way; read the difference before updating the file`);
  });
}
