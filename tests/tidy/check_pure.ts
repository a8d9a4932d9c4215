/**
 * `deno task check:pure`: checks the types of the pure folders with the options of `pure.json`, where Deno and timers
 * are unknown names. Files are listed one by one, because `deno check` cannot leave out the tests of a folder.
 */
const ROOT = new URL("../../", import.meta.url);
/** Each in a check of its own: a `node:` import in one folder brings Node's globals into the whole check. */
const PURE_FOLDERS = ["core/base", "core/raft", "core/codec"];

let isPure = true;
for (const folder of PURE_FOLDERS) {
  const names = [...Deno.readDirSync(new URL(folder, ROOT))].map((entry) => entry.name);
  const files = names.filter((name) => name.endsWith(".ts") && !name.endsWith("_test.ts"));
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "check",
      "--quiet",
      "--no-lock",
      "--config",
      "tests/tidy/pure.json",
      ...files.map((name) => `${folder}/${name}`),
    ],
    cwd: ROOT,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  isPure &&= success;
}
Deno.exit(isPure ? 0 : 1);
