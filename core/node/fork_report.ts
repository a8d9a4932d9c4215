/**
 * `fork.json`: why a node stopped that a majority contradicts. JSON for people: the first thing an operator looks for. While
 * it is there the node does not start again, since a supervisor would otherwise start it into the same fork for ever.
 */
import { NodeError } from "../base/errors.ts";
import type { LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import type { Disk } from "../base/ports.ts";
import { readWholeFile, replaceFile } from "../log/replace_file.ts";
import type { LogMark, LogMarks } from "./fork_verdict.ts";

export const FORK_REPORT_PATH = "fork.json";
const FORMAT_VERSION = 1;

export interface ForkReport {
  readonly wallMs: Milliseconds;
  readonly nodeId: NodeId;
  readonly index: LogIndex;
  /** How it was noticed: of core/raft/output.ts, or which member said so. */
  readonly reason: string;
  readonly ours: LogMark | null;
  /** By member. */
  readonly theirs: LogMarks;
}

const WHAT_TO_DO = "Keep the data folder for an examination, remove this node from the cluster and let it " +
  `join again with an empty folder. Or delete ${FORK_REPORT_PATH} to try again at your own risk: the node ` +
  "shows its own version of the data until it meets the fork again";

/** Durable when it resolves. */
export function writeForkReport(disk: Disk, report: ForkReport): Promise<void> {
  const file = { formatVersion: FORMAT_VERSION, ...report, whatToDo: WHAT_TO_DO };
  const text = `${JSON.stringify(file, undefined, 2)}\n`;
  return replaceFile(disk, FORK_REPORT_PATH, new TextEncoder().encode(text));
}

/**
 * Undefined when there is none, which is as it should be.
 *
 * @throws NodeError `internal` when the file is there and says nothing
 */
export function readForkReport(disk: Disk): ForkReport | undefined {
  const bytes = readWholeFile(disk, FORK_REPORT_PATH);
  if (bytes === undefined) return undefined;
  const report = parse(new TextDecoder().decode(bytes));
  if (report !== undefined) return report;
  throw new NodeError(
    "internal",
    `Cannot read ${FORK_REPORT_PATH}, which a node leaves behind when its log and those of a majority disagree: it is ` +
      `damaged, so it does not say where. ${WHAT_TO_DO}`,
  );
}

function parse(text: string): ForkReport | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isReport(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isReport(value: unknown): value is ForkReport {
  if (!isObject(value)) return false;
  const { wallMs, nodeId, index, reason, ours, theirs } = value;
  return [wallMs, nodeId, index].every(Number.isSafeInteger) && typeof reason === "string" &&
    isMark(ours) && isObject(theirs) && Object.values(theirs).every(isMark);
}

function isMark(value: unknown): value is LogMark | null {
  if (value === null) return true;
  return isObject(value) && Number.isSafeInteger(value.term) && Number.isSafeInteger(value.hash) &&
    typeof value.committed === "boolean";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** In words: what was found, and what to do. */
export function explainFork({ nodeId, index, reason, ours, theirs }: ForkReport): string {
  const held = Object.entries(theirs).map(([id, mark]) => `member ${id} ${describe(mark)}`).join(", ");
  return `the log of node ${nodeId} is not that of the majority: at entry ${index} it holds ${
    describe(ours)
  }, ` +
    `${held} (noticed by: ${reason}). Its log is damaged there or before, although its checksums are sound, so ` +
    `nothing in this folder is to be trusted from there on; ${FORK_REPORT_PATH} has the details. ${WHAT_TO_DO}`;
}

function describe(mark: LogMark | null): string {
  if (mark === null) return "nothing that could be asked for";
  const hash = mark.hash.toString(16).padStart(8, "0");
  return `term ${mark.term}, running hash ${hash}, ${mark.committed ? "committed" : "not committed"}`;
}
