/** One text per behaviour: what of a node or a message can influence what happens later, and nothing else. */
import { assert } from "../../core/base/assert.ts";
import { OPENED } from "./core_copy.ts";

/** At each node id the id it is renamed to; 0 stands for "none" and stays. */
export type Renaming = readonly number[];

/** All ways to rename three nodes that differ in nothing but their ids; the first one changes nothing. */
export const RENAMINGS: readonly Renaming[] = [
  [0, 1, 2, 3],
  [0, 1, 3, 2],
  [0, 2, 1, 3],
  [0, 2, 3, 1],
  [0, 3, 1, 2],
  [0, 3, 2, 1],
];

const named = (plain: readonly string[], priv: readonly string[]): ReadonlySet<string> =>
  new Set([...plain, ...priv.map((name) => OPENED + name)]);

/** Fields that hold a node id, and maps keyed by one. */
const NODE_IDS = named(
  ["id", "from", "to", "vote", "leader", "leaderId", "transferTarget", "durableVote"],
  ["leader"],
);
const NODE_KEYS = named(["votes"], ["progress"]);

/** Ranges of the log, whose `from` and `to` are no nodes. */
const INDEX_RANGES = named([], ["unsearched"]);

/** The same in every state, a second way to the same object, a cache, or only there to be looked at. */
const SKIPPED = named(
  ["options", "alive", "life", "lastContactTick"],
  ["random", "hooks", "options", "log", "state", "shared"],
);

/** Numbers of outputs: only their distance from the last durable one matters. */
const SEQUENCES = named(["sequence"], ["sequence", "persisted"]);

type Fields = Readonly<Record<string, unknown>>;

interface Frame {
  readonly renaming: Renaming;
  readonly sequence: number;
}

/** The text of a `RaftNode` of the opened copy. */
export function nodeText(node: unknown, renaming: Renaming): string {
  const { raft } = node as { readonly raft: Fields };
  const state = raft[`${OPENED}state`] as Fields;
  const durability = state["durability"] as Fields;
  const frame: Frame = { renaming, sequence: durability[`${OPENED}persisted`] as number };
  assert(Number.isInteger(frame.sequence), "The core counts its outputs elsewhere now");
  // On its own: below the leader the same field leads back up.
  return textOf(node, frame) + textOf(state, frame);
}

export function messageText(message: unknown, renaming: Renaming): string {
  return textOf(message, { renaming, sequence: 0 });
}

function textOf(value: unknown, frame: Frame): string {
  if (typeof value !== "object" || value === null) return value === undefined ? "-" : String(value);
  if (value instanceof Uint8Array) return `x${value.join(".")}`;
  if (Array.isArray(value)) return `[${value.map((each) => textOf(each, frame)).join(",")}]`;
  if (value instanceof Map) return mapText(value, frame, (key) => key);
  return objectText(value as Fields, frame);
}

function mapText(map: ReadonlyMap<number, unknown>, frame: Frame, keyOf: (key: number) => number): string {
  const pairs = [...map].map(([key, value]) => [keyOf(key), textOf(value, frame)] as const);
  return `{${pairs.sort(([a], [b]) => a - b).map(([key, text]) => `${key}:${text}`).join(",")}}`;
}

function objectText(object: Fields, frame: Frame): string {
  const special = specialText(object, frame);
  if (special !== undefined) return special;
  const parts: string[] = [];
  for (const [name, value] of Object.entries(object)) {
    if (SKIPPED.has(name)) continue;
    parts.push(fieldText(name, value, frame));
  }
  return `(${parts.join(" ")})`;
}

function fieldText(name: string, value: unknown, frame: Frame): string {
  if (typeof value === "number") {
    if (NODE_IDS.has(name)) return String(mustRename(value, frame.renaming));
    if (SEQUENCES.has(name)) return `s${value - frame.sequence}`;
  }
  if (INDEX_RANGES.has(name)) return JSON.stringify(value) ?? "-";
  if (NODE_KEYS.has(name)) {
    return mapText(value as Map<number, unknown>, frame, (id) => mustRename(id, frame.renaming));
  }
  return textOf(value, frame);
}

function mustRename(id: number, renaming: Renaming): number {
  const renamed = renaming[id];
  assert(renamed !== undefined, () => `No node ${id}`);
  return renamed;
}

/** Objects of which only a part matters. */
function specialText(object: Fields, frame: Frame): string | undefined {
  // The running hash stands for data, type and all entries before.
  if ("hash" in object && "type" in object) return `${object["index"]}/${object["term"]}/${object["hash"]}`;
  if ("votersOutgoing" in object) return membershipText(object, frame);
  if (`${OPENED}indexes` in object && `${OPENED}start` in object) return windowText(object);
  if (`${OPENED}sendNow` in object) {
    assert((object as { isEmpty?: boolean }).isEmpty === true, "A node at rest has nothing to send");
    return "";
  }
  if ("sendAfterSync" in object) return outstandingText(object, frame);
  return undefined;
}

function membershipText(membership: Fields, { renaming }: Frame): string {
  const list = (name: string) =>
    (membership[name] as readonly number[]).map((id) => mustRename(id, renaming)).sort().join(".");
  const names = ["voters", "votersOutgoing", "learners", "standBys", "spares"];
  return `M${names.map(list).join(";")}`;
}

/**
 * Of an output that waits for its sync; the rest was done when it was taken. In which order its messages leave makes no
 * difference on a network that reorders, but they are listed by node id, which renaming would turn round.
 */
function outstandingText(output: Fields, frame: Frame): string {
  const { sequence, hardState, entries, sendAfterSync, commitIndex } = output;
  const messages = (sendAfterSync as readonly unknown[]).map((message) => textOf(message, frame)).sort();
  return `${objectText({ sequence, hardState, entries, commitIndex }, frame)}>${messages.join(",")}`;
}

/** A ring: where it begins says nothing. */
function windowText(window: Fields): string {
  const indexes = window[`${OPENED}indexes`] as readonly number[];
  const sizes = window[`${OPENED}sizes`] as readonly number[];
  const start = window[`${OPENED}start`] as number;
  const count = window[`${OPENED}count`] as number;
  const live = Array.from({ length: count }, (_, at) => (start + at) % indexes.length);
  return `W${live.map((at) => `${indexes[at]}+${sizes[at]}`).join(",")}`;
}
