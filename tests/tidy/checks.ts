/**
 * House rules about the repository as a whole. Each check is a function from files to problems, one line each that
 * says where, what, and what to do; none means tidy.
 */
import { isTest, resolvePath } from "./import_rules.ts";
import { reachableFrom } from "./import_graph.ts";
import { folderOf, type RepositoryFiles } from "./repository_files.ts";

export type Check = (files: RepositoryFiles) => string[];

const FILE_LINES_EXPLAINED = 400;
const PROMISE_COUNT = 7;

const BANNED_NAMES: ReadonlySet<string> = new Set(["utils", "util", "helpers", "common", "manager", "misc"]);

/** Each in two parts, or this file would break its own rule. */
const BANNED_TEXTS: readonly { readonly text: string; readonly instead: string }[] = [
  { text: "/wo" + "rk/", instead: "a path from the repository's root" },
  { text: "/ro" + "ot/", instead: "a path from the repository's root" },
  { text: "assis" + "tant", instead: "what is so, not who wrote it" },
  { text: "language mo" + "del", instead: "what is so, not who wrote it" },
  { text: "clau" + "de", instead: "what is so, not who wrote it" },
  { text: "anthro" + "pic", instead: "what is so, not who wrote it" },
  { text: "chat" + "bot", instead: "what is so, not who wrote it" },
  { text: "work" + "place", instead: "what is so, not where it was written" },
  { text: "this sess" + "ion of", instead: "what is so, not when it was written" },
  { text: "the bri" + "ef says", instead: "the reason itself" },
];

const isSource = (path: string): boolean => path.endsWith(".ts") && !isTest(path);
const linesOf = (text: string): number => text.split("\n").length - (text.endsWith("\n") ? 1 : 0);

export const linksAlive: Check = (files) => {
  const problems: string[] = [];
  const known = new Set([...files.keys()].flatMap((path) => [path, ...parentFolders(path)]));
  for (const [path, text] of files) {
    if (!path.endsWith(".md")) continue;
    for (const [, target = ""] of withoutCode(text).matchAll(/\]\(([^()\s]+)\)/g)) {
      if (/^(https?:|mailto:|#)/.test(target)) continue;
      const to = resolvePath(path, target).replace(/\/$/, "");
      if (!known.has(to)) problems.push(`${path}: link to ${target} is dead; there is no ${to}`);
    }
  }
  return problems;
};

function parentFolders(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```.*?^```/gms, "").replace(/`[^`\n]*`/g, "");
}

export const foldersExplained: Check = (files) => {
  const folders = new Set([...files.keys()].filter(isSource).map(folderOf));
  for (const top of ["tests/", "bench/", "core/", "net/"]) {
    if ([...files.keys()].some((path) => path.startsWith(top))) folders.add(top);
  }
  return [...folders].filter((folder) => !files.has(`${folder}README.md`)).map((folder) =>
    `${
      folder || "the root"
    } has no README.md; write its design page: purpose, flows, decisions with their cost`
  );
};

/** @param codes of core/base/errors.ts */
export const errorCodesDocumented = (codes: readonly string[]): Check => (files) => {
  const page = files.get("net/api/README.md") ?? "";
  return codes.filter((code) => !page.includes(`\`${code}\``)).map((code) =>
    `net/api/README.md does not mention the error code \`${code}\` of core/base/errors.ts`
  );
};

/** @param names of the entries of LIMITS */
export const limitsUsed = (names: readonly string[]): Check => (files) => {
  const sources = [...files].filter(([path]) => isSource(path) && path !== "core/base/limits.ts");
  const used = new Set(sources.flatMap(([, text]) => text.match(/\b[a-z][A-Za-z]+\b/g) ?? []));
  return names.filter((name) => !used.has(name)).map((name) =>
    `core/base/limits.ts: nothing keeps to ${name}; use it where the bound applies, or remove it`
  );
};

export const noOrphans: Check = (files) => {
  // What its tasks run and what it exports.
  const named = [...(files.get("deno.json") ?? "").matchAll(/[\w/]+\.ts\b/g)].map(([path]) => path);
  const crossTests = [...files.keys()].filter((path) => /^(tests|bench)\/.*\.ts$/.test(path));
  const reached = reachableFrom(["main.ts", ...named, ...crossTests], files);
  return [...files.keys()].filter((path) => isSource(path) && !reached.has(path)).map((path) =>
    `${path}: nothing that runs imports it (a test beside it does not count); use it or remove it`
  );
};

export const promisesCited: Check = (files) => {
  const problems: string[] = [];
  const listed = promisesIn(files.get("core/README.md") ?? "");
  const tests = [...files].filter(([path]) => path.endsWith("_test.ts") && !path.startsWith("tests/tidy/"));
  const cited = promisesIn(tests.map(([, text]) => text).join("\n"));
  for (let number = 1; number <= PROMISE_COUNT; number++) {
    if (!listed.has(number)) problems.push(`core/README.md does not list promise ${number}`);
    if (!cited.has(number)) {
      problems.push(
        `no test cites promise ${number}; write "promise ${number}" into the name of the test that guards it`,
      );
    }
  }
  for (const number of cited) {
    if (number > PROMISE_COUNT) problems.push(`a test cites promise ${number}, there are ${PROMISE_COUNT}`);
  }
  return problems;
};

/** Numbers after "promise" or "promises", in any of the forms `promise 4`, `promises 2 and 3`, `promises 1, 5`. */
function promisesIn(text: string): Set<number> {
  const groups = [...text.matchAll(/\bpromises?\s+(\d+(?:(?:,|,? and)\s+\d+)*)/gi)];
  return new Set(groups.flatMap(([, numbers = ""]) => (numbers.match(/\d+/g) ?? []).map(Number)));
}

export const noBannedText: Check = (files) => {
  const problems: string[] = [];
  for (const [path, text] of files) {
    for (const [at, line] of text.toLowerCase().split("\n").entries()) {
      const banned = BANNED_TEXTS.find((each) => line.includes(each.text));
      if (banned) {
        problems.push(`${path}:${at + 1}: "${banned.text}" does not belong here; write ${banned.instead}`);
      }
    }
  }
  return problems;
};

export const longFilesExplained: Check = (files) => {
  const long = [...files].filter(([path, text]) => isSource(path) && linesOf(text) > FILE_LINES_EXPLAINED);
  return long.filter(([path]) => {
    const name = path.slice(folderOf(path).length);
    return !(files.get(`${folderOf(path)}README.md`) ?? "").includes(name);
  }).map(([path, text]) =>
    `${path} has ${
      linesOf(text)
    } lines; over ${FILE_LINES_EXPLAINED} the README.md of its folder gives the reason`
  );
};

export const namesKept: Check = (files) =>
  [...files.keys()].filter((path) => path.endsWith(".ts")).flatMap((path) => {
    const name = path.slice(folderOf(path).length, -".ts".length);
    if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name)) return [`${path}: files are named in snake_case`];
    if (BANNED_NAMES.has(name)) return [`${path}: "${name}" says nothing; name it after its main export`];
    return [];
  });

/** @param tasks of deno.json */
export const tasksExist = (tasks: readonly string[]): Check => (files) => {
  const problems: string[] = [];
  for (const [path, text] of files) {
    if (!path.endsWith(".md")) continue;
    for (const [command, name = ""] of text.matchAll(/\b(?:deno(?:@[\d.]+)?) task ([a-z][a-z:]*)/g)) {
      if (!tasks.includes(name)) {
        problems.push(`${path}: there is no task behind "${command}"; see deno.json`);
      }
    }
  }
  return problems;
};

/** The commands that a person with nothing but Node is told to type, and that `.ci/run` is measured by. */
export const readmeCommands = (commands: readonly string[]): Check => (files) =>
  commands.filter((command) => !(files.get("README.md") ?? "").includes(command)).map((command) =>
    `README.md does not give the command "${command}"`
  );
