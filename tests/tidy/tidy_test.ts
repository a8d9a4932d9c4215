import assert from "node:assert/strict";
import { ERROR_CODES } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import project from "../../deno.json" with { type: "json" };
import * as checks from "./checks.ts";
import { repositoryFiles } from "./repository_files.ts";
import pure from "./pure.json" with { type: "json" };

const NPX_DENO = "npx -y deno@2.9.6";

interface TidyRule {
  readonly name: string;
  readonly check: checks.Check;
  /** Files that break the rule, laid over an empty repository, and what is said about them. */
  readonly broken: Readonly<Record<string, string>>;
  readonly complaint: RegExp;
}

const RULES: readonly TidyRule[] = [
  {
    name: "relative links in pages are alive",
    check: checks.linksAlive,
    broken: { "core/README.md": "[log](log/README.md) [gone](raft/README.md)", "core/log/README.md": "" },
    complaint: /^core\/README\.md: link to raft\/README\.md is dead; there is no core\/raft\/README\.md$/,
  },
  {
    name: "every folder of source has a README.md",
    check: checks.foldersExplained,
    broken: { "core/README.md": "", "core/raft/raft.ts": "" },
    complaint: /^core\/raft\/ has no README\.md/,
  },
  {
    name: "every error code is in net/api/README.md",
    check: checks.errorCodesDocumented(Object.keys(ERROR_CODES)),
    broken: {
      "net/api/README.md": Object.keys(ERROR_CODES).filter((code) => code !== "queue_full").map((code) =>
        `\`${code}\``
      )
        .join(),
    },
    complaint: /`queue_full`/,
  },
  {
    name: "every limit is kept somewhere",
    check: checks.limitsUsed(Object.keys(LIMITS)),
    broken: {
      "core/a.ts": Object.keys(LIMITS).filter((name) => name !== "segmentBytesMax").join(" "),
      "core/base/limits.ts": "segmentBytesMax",
      "core/a_test.ts": "segmentBytesMax",
    },
    complaint: /segmentBytesMax/,
  },
  {
    name: "every source file is reachable from something that runs",
    check: checks.noOrphans,
    broken: {
      "main.ts": `import { a } from "./core/a.ts"; new Worker(new URL("./core/w.ts", import.meta.url));`,
      "core/a.ts": "",
      "core/w.ts": "",
      "core/b.ts": "",
      "core/b_test.ts": `import { b } from "./b.ts";`,
    },
    complaint: /^core\/b\.ts: nothing that runs imports it/,
  },
  {
    name: "every promise of core/README.md is cited by a test",
    check: checks.promisesCited,
    broken: {
      "core/README.md": "promises 1, 2, 3, 4, 5, 6 and 7",
      "core/a_test.ts": "promises 1, 2 and 3; promise 4; promises 5, 7",
      "core/a.ts": "promise 6",
    },
    complaint: /^no test cites promise 6/,
  },
  {
    name: "no file names the machine or the way it was written on",
    check: checks.noBannedText,
    broken: { "core/a.ts": `\nconst path = "${"/wo" + "rk"}/main";` },
    complaint: /^core\/a\.ts:2: /,
  },
  {
    name: "files over 400 lines are explained in the design page",
    check: checks.longFilesExplained,
    broken: {
      "core/a.ts": "\n".repeat(401),
      "core/b.ts": "\n".repeat(401),
      "core/c.ts": "\n".repeat(400),
      "core/README.md": "b.ts is long",
    },
    complaint: /^core\/a\.ts has 401 lines/,
  },
  {
    name: "files are named in snake_case after what they hold",
    check: checks.namesKept,
    broken: { "core/pageStore.ts": "", "core/page_store_test.ts": "" },
    complaint: /^core\/pageStore\.ts/,
  },
  {
    name: "tasks named in pages exist",
    check: checks.tasksExist(Object.keys(project.tasks)),
    broken: { "README.md": "`deno task ok`, `npx -y deno@2.9.6 task gone`" },
    complaint: /^README\.md: there is no task behind "deno@2\.9\.6 task gone"/,
  },
  {
    name: "README.md gives the commands for a machine with Node only",
    check: checks.readmeCommands([`${NPX_DENO} task demo`, `${NPX_DENO} task test`]),
    broken: { "README.md": `${NPX_DENO} task demo` },
    complaint: /task test/,
  },
];

const filesOnce = repositoryFiles();

for (const rule of RULES) {
  Deno.test(`tidy: ${rule.name}`, async () => {
    const problems = rule.check(await filesOnce);
    assert.ok(problems.length === 0, `${problems.length} to put right:\n  ${problems.join("\n  ")}`);
  });

  Deno.test(`tidy can complain: ${rule.name}`, () => {
    const problems = rule.check(new Map(Object.entries(rule.broken)));
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", rule.complaint);
  });
}

Deno.test("tidy: pure.json checks as strictly as deno.json", () => {
  const { lib, ...options } = pure.compilerOptions;
  assert.deepEqual(lib, ["es2023", "deno.web"]);
  assert.deepEqual(options, project.compilerOptions);
});

Deno.test("tidy: the version of Deno in .ci/run and in the pages is one", async () => {
  const versions = new Map<string, string>();
  for (const [path, text] of await filesOnce) {
    for (const [, version = ""] of text.matchAll(/\bdeno@(\d+\.\d+\.\d+)/g)) versions.set(version, path);
  }
  assert.ok(versions.size <= 1, `Different versions: ${JSON.stringify([...versions])}`);
});
