import assert from "node:assert/strict";
import { importRefusal, resolvePath } from "./import_rules.ts";
import plugin from "./lint_plugin.ts";

interface RuleCase {
  readonly rule: string;
  readonly file: string;
  readonly source: string;
}

const longFunction = `export function f(): void {\n${"  f();\n".repeat(69)}}\n`;
const longFile = `export const a = 1;\n${"// line\n".repeat(600)}`;
const note = (word: string): string => `// ${word}: later\nexport const a = 1;\n`;
const doNow = ["TO", "DO"].join("");

/** Each rule fails on these. */
const BROKEN: readonly RuleCase[] = [
  { rule: "import-direction", file: "core/base/ids.ts", source: `import { a } from "../codec/a.ts"; a();` },
  {
    rule: "import-direction",
    file: "core/base/ports.ts",
    source: `import { a } from "../raft/message.ts"; a();`,
  },
  { rule: "import-direction", file: "core/raft/raft.ts", source: `import { a } from "../log/log.ts"; a();` },
  { rule: "import-direction", file: "core/raft/raft.ts", source: `await import("../log/log.ts");` },
  { rule: "import-direction", file: "core/raft/raft.ts", source: `import { a } from "node:zlib"; a();` },
  {
    rule: "import-direction",
    file: "core/log/log.ts",
    source: `import { a } from "../raft/message.ts"; a();`,
  },
  { rule: "import-direction", file: "core/sql/pool.ts", source: `import { a } from "../host/disk.ts"; a();` },
  {
    rule: "import-direction",
    file: "core/node/node.ts",
    source: `import { a } from "../host/disk.ts"; a();`,
  },
  {
    rule: "import-direction",
    file: "core/host/disk.ts",
    source: `import type { A } from "../raft/raft.ts"; export type B = A;`,
  },
  {
    rule: "import-direction",
    file: "core/raft/raft.ts",
    source: `export type B = import("../log/log.ts").Log;`,
  },
  {
    rule: "import-direction",
    file: "net/wire/a.ts",
    source: `import { a } from "../../core/raft/message.ts"; a();`,
  },
  { rule: "import-direction", file: "net/client/a.ts", source: `import { a } from "../api/a.ts"; a();` },
  {
    rule: "import-direction",
    file: "net/http/a.ts",
    source: `import { a } from "../../core/node/driver.ts"; a();`,
  },
  {
    rule: "import-direction",
    file: "core/raft/raft.ts",
    source: `import { a } from "../../tests/support/a.ts"; a();`,
  },
  { rule: "import-direction", file: "core/raft/raft.ts", source: `import { a } from "./raft_test.ts"; a();` },
  { rule: "import-direction", file: "net/new/a.ts", source: `import { a } from "../wire/frame.ts"; a();` },
  { rule: "pure-core", file: "core/raft/raft.ts", source: `export const a = Math.random();` },
  { rule: "pure-core", file: "core/raft/raft.ts", source: `export const a = Math["random"]();` },
  { rule: "pure-core", file: "core/raft/raft.ts", source: `export const a = Date.now();` },
  { rule: "pure-core", file: "core/raft/raft.ts", source: `export const a = new Date();` },
  { rule: "pure-core", file: "core/node/a.ts", source: `setTimeout(() => {}, 1);` },
  { rule: "pure-core", file: "core/node/a.ts", source: `globalThis.setInterval(() => {}, 1);` },
  { rule: "pure-core", file: "core/node/a.ts", source: `export const later = { after: setTimeout };` },
  { rule: "pure-core", file: "core/sql/vfs.ts", source: `export const a = Deno.args;` },
  { rule: "pure-core", file: "core/sql/vfs.ts", source: `export type A = Deno.FsFile;` },
  { rule: "pure-core", file: "core/pages/a.ts", source: `console.log(1);` },
  {
    rule: "no-private-keyword",
    file: "net/api/a.ts",
    source: `export class A { private a = 1; b() { return this.a; } }`,
  },
  {
    rule: "no-private-keyword",
    file: "net/api/a.ts",
    source: `export class A { constructor(private readonly a: number) {} }`,
  },
  { rule: "no-private-keyword", file: "net/api/a.ts", source: `export class A { private m() {} }` },
  { rule: "no-default-export", file: "net/api/a.ts", source: `export default 1;` },
  { rule: "no-default-export", file: "net/api/a.ts", source: `const a = 1; export { a as default };` },
  { rule: "no-barrel", file: "net/api/mod.ts", source: `export * from "./a.ts";` },
  { rule: "no-barrel", file: "net/api/mod.ts", source: `export { a } from "./a.ts";` },
  { rule: "no-any", file: "tests/support/a.ts", source: `export const a: any = 1;` },
  { rule: "no-unfinished-note", file: "core/raft/a.ts", source: note(doNow) },
  { rule: "no-unfinished-note", file: "tests/sim/a.ts", source: note(["FIX", "ME"].join("")) },
  { rule: "file-length", file: "tests/sim/a.ts", source: longFile },
  { rule: "function-length", file: "core/raft/a.ts", source: longFunction },
  {
    rule: "function-length",
    file: "main.ts",
    source: longFunction.replace("function f(): void {", "const f = () => {"),
  },
];

/** The nearest lawful neighbours: rules that fired here would forbid what the design asks for. */
const SOUND: readonly RuleCase[] = [
  {
    rule: "import-direction",
    file: "core/base/ports.ts",
    source: `import type { A } from "../raft/message.ts"; export type B = A;`,
  },
  {
    rule: "import-direction",
    file: "core/log/log.ts",
    source: `import { type A } from "../raft/message.ts"; export type B = A;`,
  },
  {
    rule: "import-direction",
    file: "core/sql/worker.ts",
    source: `import { a } from "../host/disk.ts"; a();`,
  },
  { rule: "import-direction", file: "core/codec/crc32.ts", source: `import { a } from "node:zlib"; a();` },
  {
    rule: "import-direction",
    file: "core/node/node.ts",
    source: `import { a } from "../raft/raft.ts"; a();`,
  },
  {
    rule: "import-direction",
    file: "core/raft/raft_test.ts",
    source: `import { a } from "../../tests/support/a.ts"; a();`,
  },
  {
    rule: "import-direction",
    file: "net/client/a.ts",
    source: `import type { A } from "../api/a.ts"; export type B = A;`,
  },
  {
    rule: "import-direction",
    file: "net/program.ts",
    source: `import { a } from "../core/host/disk.ts"; a();`,
  },
  { rule: "pure-core", file: "core/raft/raft_test.ts", source: `export const a = Math.random();` },
  { rule: "pure-core", file: "core/host/system_clock.ts", source: `export const a = performance.now();` },
  { rule: "pure-core", file: "core/sql/worker.ts", source: `export const a = Deno.args;` },
  {
    rule: "pure-core",
    file: "core/raft/raft.ts",
    source:
      `export const a = { Date: 1, console: 2 }; export const b = a.Date + a.console + Math.floor(1.5);`,
  },
  {
    rule: "no-private-keyword",
    file: "net/api/a.ts",
    source: `export class A { #a = 1; b() { return this.#a; } }`,
  },
  { rule: "no-default-export", file: "net/api/a.ts", source: `export const a = 1;` },
  { rule: "no-barrel", file: "net/client/mod.ts", source: `export { a } from "./a.ts";` },
  { rule: "no-barrel", file: "net/api/a.ts", source: `const a = 1; export { a };` },
  { rule: "no-any", file: "net/api/a.ts", source: `export const any: unknown = "any";` },
  { rule: "no-unfinished-note", file: "core/raft/a.ts", source: `export const a = "${doNow}";` },
  { rule: "file-length", file: "core/raft/a.ts", source: longFile.replace("// line\n", "") },
  { rule: "function-length", file: "core/raft/a.ts", source: longFunction.replace("  f();\n", "") },
  { rule: "function-length", file: "core/raft/a_test.ts", source: longFunction },
];

function firedRules(each: RuleCase): string[] {
  const file = new URL(`../../${each.file}`, import.meta.url).pathname;
  return Deno.lint.runPlugin(plugin, file, each.source).map((diagnostic) => diagnostic.id);
}

const describeCase = (each: RuleCase): string => `${each.file}: ${each.source.slice(0, 60).split("\n")[0]}`;

for (const each of BROKEN) {
  Deno.test(`walraft/${each.rule} refuses ${describeCase(each)}`, () => {
    assert.deepEqual(new Set(firedRules(each)), new Set([`walraft/${each.rule}`]));
  });
}

for (const each of SOUND) {
  Deno.test(`walraft/${each.rule} allows ${describeCase(each)}`, () => {
    assert.deepEqual(firedRules(each), []);
  });
}

Deno.test("every rule of the plugin is seen to fail and to pass", () => {
  const rules = new Set(Object.keys(plugin.rules));
  assert.deepEqual(new Set(BROKEN.map((each) => each.rule)), rules);
  assert.deepEqual(new Set(SOUND.map((each) => each.rule)), rules);
});

Deno.test("deno lint loads the plugin through deno.json", async () => {
  const folder = await Deno.makeTempDir({ prefix: "walraft-lint-" });
  try {
    await Deno.writeTextFile(`${folder}/a.ts`, "export class A { private m(): void {} }\n");
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["lint", "--config", "deno.json", "--json", `${folder}/a.ts`],
      cwd: new URL("../../", import.meta.url),
      stderr: "null",
    }).output();
    assert.match(new TextDecoder().decode(stdout), /walraft\/no-private-keyword/);
    assert.equal(code, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("importRefusal() names the folder, the target and what is allowed", () => {
  assert.equal(
    importRefusal("core/host/deno_disk.ts", "../log/log.ts", false),
    "core/host/ may not import core/log/log.ts; it may import core/host/, core/base/, core/codec/, types of core/sql/",
  );
  assert.equal(
    importRefusal("core/log/log.ts", "../raft/output.ts", false),
    'core/log/ may import only types of core/raft/output.ts; write "import type"',
  );
});

Deno.test("resolvePath() follows parents and siblings", () => {
  assert.equal(resolvePath("core/raft/a.ts", "../base/b.ts"), "core/base/b.ts");
  assert.equal(resolvePath("main.ts", "./core/b.ts"), "core/b.ts");
});
