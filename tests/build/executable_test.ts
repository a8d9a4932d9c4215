import assert from "node:assert/strict";
import project from "../../deno.json" with { type: "json" };
import { withBuiltExecutable } from "./built_executable.ts";

Deno.test("the executable runs in an empty folder on a machine without Deno", async () => {
  await withBuiltExecutable(async (executable) => {
    const text = new TextDecoder();
    for (const run of ["first run", "later run"]) {
      const { code, stdout, stderr } = await executable.command(["--version"]).output();
      assert.equal(text.decode(stderr), "", run);
      assert.ok(text.decode(stdout).includes(project.version), `${run}: ${text.decode(stdout)}`);
      assert.equal(code, 0, run);
    }
    assert.deepEqual(
      [...Deno.readDirSync(executable.workFolder)],
      [],
      "it leaves nothing in the working folder",
    );
  });
});
