/** Where the time of a thread went, from a profile of V8. Pure. */

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Node of each sample. */
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

export interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

/** In the order in which a write meets them. */
export const STAGES = [
  "idle",
  "parse",
  "queue",
  "messages to and from SQL",
  "SQLite",
  "page index",
  "Raft",
  "log",
  "network",
  "answer",
  "garbage collection",
  "Deno and system calls",
] as const;
export type Stage = typeof STAGES[number];

/** By file; the first that fits decides. */
const STAGE_OF_PATH: readonly (readonly [RegExp, Stage])[] = [
  [/net\/http\/(response_writer|answer_encoding|connection_io)\.ts/, "answer"],
  [/net\/(http|api)\/|net\/program\.ts/, "parse"],
  [/core\/(log|codec)\/|core\/host\/deno_disk\.ts/, "log"],
  [/net\/(peer|wire)\//, "network"],
  [/core\/(sql\/(pool|worker_slot|messages)|host\/sql_worker_thread)/, "messages to and from SQL"],
  [/core\/sql\/|^wasm:|wa-sqlite|sqlite3/, "SQLite"],
  [/core\/pages\//, "page index"],
  [/core\/raft\//, "Raft"],
  [/core\//, "queue"],
];

export interface FunctionTime {
  /** `function file.ts:line` */
  readonly name: string;
  readonly us: number;
}

/** Microseconds of each stage. What Deno does for a caller counts for the caller. */
export function timeByStage(profile: CpuProfile): Map<Stage, number> {
  const parents = new Map<number, ProfileNode>();
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node);
  return sumBy(profile, (node) => stageOf(node, parents));
}

/** Functions by the time in their own code, the longest first. */
export function hottestFunctions(profile: CpuProfile, count: number): FunctionTime[] {
  const times = sumBy(profile, ({ callFrame: { functionName, url, lineNumber } }) => {
    const file = url.split("/").slice(-3).join("/");
    return `${functionName || "(anonymous)"} ${file === "" ? "" : `${file}:${lineNumber + 1}`}`.trim();
  });
  const sorted = [...times].map(([name, us]) => ({ name, us })).sort((a, b) => b.us - a.us);
  return sorted.filter(({ name }) => name !== "(idle)").slice(0, count);
}

function sumBy<Key>(profile: CpuProfile, keyOf: (node: ProfileNode) => Key): Map<Key, number> {
  const keys = new Map(profile.nodes.map((node) => [node.id, keyOf(node)]));
  const times = new Map<Key, number>();
  profile.samples.forEach((id, at) => {
    const key = keys.get(id);
    if (key === undefined) return;
    // The time after a sample belongs to it.
    times.set(key, (times.get(key) ?? 0) + (profile.timeDeltas[at + 1] ?? 0));
  });
  return times;
}

function stageOf(node: ProfileNode, parents: ReadonlyMap<number, ProfileNode>): Stage {
  if (node.callFrame.functionName === "(idle)") return "idle";
  if (node.callFrame.functionName === "(garbage collector)") return "garbage collection";
  for (let at: ProfileNode | undefined = node; at !== undefined; at = parents.get(at.id)) {
    const { url } = at.callFrame;
    if (url.startsWith("ext:")) continue;
    const found = STAGE_OF_PATH.find(([pattern]) => pattern.test(url));
    if (found !== undefined) return found[1];
  }
  return "Deno and system calls";
}
