/** What can happen next in a state of the cluster. */
import type { NodeId } from "../../core/base/ids.ts";
import type { Budget } from "./scope.ts";

export const EVENT_KINDS = [
  "deliver",
  "duplicate",
  "sync",
  "campaign",
  "propose",
  "read",
  "tick",
  "crash",
  "transfer",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface ClusterEvent {
  readonly kind: EventKind;
  readonly node: NodeId;
  /** Number of the message, of the value, of the read, of the crash point, or the node to hand over to. */
  readonly argument: number;
}

/** What an event takes from the budget. */
export const COST: Readonly<Partial<Record<EventKind, keyof Budget>>> = {
  duplicate: "duplicates",
  campaign: "campaigns",
  propose: "proposals",
  read: "reads",
  tick: "ticks",
  crash: "crashes",
  transfer: "transfers",
};

/** One number per event, to be kept with each state. */
export function encodeEvent({ kind, node, argument }: ClusterEvent): number {
  return (argument * 4 + node) * EVENT_KINDS.length + EVENT_KINDS.indexOf(kind);
}

export function decodeEvent(code: number): ClusterEvent {
  const rest = Math.floor(code / EVENT_KINDS.length);
  return {
    kind: EVENT_KINDS[code % EVENT_KINDS.length]!,
    node: rest % 4,
    argument: Math.floor(rest / 4),
  };
}
