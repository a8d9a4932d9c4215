/**
 * What members ask of each other: requests a follower passes on to the leader, and questions about state. Bodies are
 * msgpack; the names are part of the peer protocol (net/wire/README.md).
 */
import { decode, encode } from "@msgpack/msgpack";
import { NodeError } from "../base/errors.ts";
import type { DatabaseId, LogIndex, Milliseconds, NodeId } from "../base/ids.ts";
import type { Membership } from "../raft/membership.ts";
import type { Entry } from "../raft/message.ts";
import type { LogMark } from "./fork_verdict.ts";
import type { PageAnswer, PageRequest } from "./repair.ts";
import type { StandingAnswer } from "./standing.ts";
import type { SnapshotOffer, SnapshotPages, SnapshotPagesRequest } from "./snapshot_source.ts";
import type {
  DatabaseDescription,
  MemberChange,
  MemberStatus,
  NewMember,
  QueryAnswer,
  QueryRequest,
  WriteAnswer,
  WriteRequest,
} from "./service.ts";
import type { MembershipNews } from "./told_membership.ts";

/** Requests and answers by method. Every request carries the time that is left for it. */
export interface PeerMethods {
  write: { request: Omit<WriteRequest, "timeoutMs">; answer: WriteAnswer };
  create_database: {
    request: { name: string; mustBeNew: boolean };
    answer: { index: LogIndex; created: boolean };
  };
  drop_database: { request: { name: string }; answer: { index: LogIndex } };
  import_begin: { request: { name: string; pageSize: number }; answer: DatabaseId };
  import_pages: { request: { databaseId: DatabaseId; body: Uint8Array }; answer: LogIndex };
  import_finish: { request: { databaseId: DatabaseId }; answer: LogIndex };
  import_abort: { request: { databaseId: DatabaseId }; answer: LogIndex };
  members: { request: Record<string, never>; answer: MemberStatus[] };
  add_member: { request: NewMember; answer: { id: NodeId } };
  remove_member: { request: { id: NodeId }; answer: null };
  change_member: { request: MemberChange & { id: NodeId }; answer: null };
  transfer: { request: { to?: NodeId }; answer: { leaderId: NodeId } };
  /** And traits, where any are named. */
  set_addresses: { request: NewMember & { id: NodeId }; answer: null };
  /** The caller leads, and this is where answers reach it. `news`: the member asked is a spare. */
  introduce: { request: { id: NodeId; raftAddress: string; news?: MembershipNews }; answer: null };
  /** Asked by spares, whose databases show nothing of use. */
  query: { request: Omit<QueryRequest, "timeoutMs" | "signal">; answer: QueryAnswer };
  list_databases: { request: Record<string, never>; answer: DatabaseDescription[] };
  describe_database: { request: { name: string }; answer: DatabaseDescription };
  /** Whether a node still belongs to the cluster; only a leader can say. */
  standing: { request: { id: NodeId }; answer: StandingAnswer };
  /** What the member's log holds at an index, for the judgement of a fork. */
  log_mark: { request: { index: LogIndex }; answer: LogMark | null };
  /** The caller's log and that of the member asked disagree at an index. */
  fork_suspected: { request: { index: LogIndex }; answer: null };
  /** One entry of the log of the member asked; null when it has not got it. */
  log_entry: { request: { index: LogIndex }; answer: Entry | null };
  /** A page as of an index, or as new as the member asked has it; null when it has no such page. */
  page: { request: PageRequest; answer: PageAnswer | null };
  /** `hasForgotten`: it has lost what it acknowledged, so everything that is committed anywhere must be in it. */
  snapshot_begin: {
    request: { member: NodeId; atLeast: LogIndex; hasForgotten: boolean };
    answer: SnapshotOffer;
  };
  snapshot_pages: { request: SnapshotPagesRequest; answer: SnapshotPages };
  snapshot_end: { request: { sessionId: number }; answer: null };
  /** Asked by a node that is not a member yet. */
  join: { request: NewMember; answer: JoinAnswer };
}

export interface JoinAnswer {
  readonly clusterId: string;
  readonly nodeId: NodeId;
  readonly membership: Membership;
}

export type PeerMethod = keyof PeerMethods;

export type PeerHandlers = {
  [M in PeerMethod]: (
    request: PeerMethods[M]["request"],
    timeoutMs: Milliseconds,
    from: NodeId,
  ) => Promise<PeerMethods[M]["answer"]>;
};

interface Envelope {
  readonly timeoutMs: Milliseconds;
  readonly request: unknown;
}

// 64-bit integers arrive as bigint only where they are too large for a number.
const ENCODE = { useBigInt64: true, ignoreUndefined: true } as const;
const DECODE = { useBigInt64: true } as const;

export function encodeRequest<M extends PeerMethod>(
  request: PeerMethods[M]["request"],
  timeoutMs: Milliseconds,
): Uint8Array {
  return encode({ timeoutMs, request } satisfies Envelope, ENCODE);
}

export function decodeAnswer<M extends PeerMethod>(bytes: Uint8Array): PeerMethods[M]["answer"] {
  return decode(bytes, DECODE) as PeerMethods[M]["answer"];
}

/** Serves a call of a peer. Peers are authenticated and run the same program: shapes are not checked again. */
export async function servePeerCall(
  handlers: PeerHandlers,
  from: NodeId,
  method: string,
  body: Uint8Array,
): Promise<Uint8Array> {
  if (!Object.hasOwn(handlers, method)) {
    throw new NodeError(
      "not_found",
      `Member ${from} called ${JSON.stringify(method)}, which this version lacks`,
    );
  }
  const { timeoutMs, request } = decode(body, DECODE) as Envelope;
  const handler = handlers[method as PeerMethod] as (
    request: unknown,
    timeoutMs: Milliseconds,
    from: NodeId,
  ) => Promise<unknown>;
  return encode(await handler(request, timeoutMs, from), ENCODE);
}
