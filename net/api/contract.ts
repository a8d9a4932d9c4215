/**
 * Requests and answers of HTTP API version 1 as TypeScript types, as they look in JSON. `schemas.ts` and
 * `answer_schemas.ts` say the same to validators and to OpenAPI; `contract_test.ts` holds them together.
 */
import type { ParameterJson, ValueJson } from "./json_values.ts";

export type ReadLevelName = "linearizable" | "index" | "stale" | "as_of";
export type CheckpointModeName = "passive" | "full";
export type RowShapeName = "arrays" | "objects";

/** By position, or by name with or without the prefix `:`, `@`, `$`. */
export type ParametersJson = ParameterJson[] | { [name: string]: ParameterJson };

export interface StatementBody {
  sql: string;
  params?: ParametersJson | undefined;
}

/** `POST /v1/databases/{database}/query` */
export interface QueryBody extends StatementBody {
  /** Default `linearizable`, or `as_of` when that field is there. */
  level?: ReadLevelName | undefined;
  /** Level `index`, required there: serve at this index or later. */
  index?: number | undefined;
  /** Level `stale`: refuse when a leader was last heard longer ago. */
  max_age_ms?: number | undefined;
  /**
   * Level `as_of`, required there: show the database as it was at this log index, or at this time (ISO 8601 with its zone),
   * which means the last change made until then.
   */
  as_of?: number | string | undefined;
  /** Default `arrays`. */
  rows?: RowShapeName | undefined;
  /** For waiting and running together. */
  timeout_ms?: number | undefined;
}

/** `POST /v1/databases/{database}/execute` */
export interface ExecuteBody extends StatementBody {
  rows?: RowShapeName | undefined;
  timeout_ms?: number | undefined;
}

/** `POST /v1/databases/{database}/batch` */
export interface BatchBody {
  statements: StatementBody[];
  rows?: RowShapeName | undefined;
  timeout_ms?: number | undefined;
}

/** `POST /v1/databases` */
export interface CreateDatabaseBody {
  name: string;
  timeout_ms?: number | undefined;
}

export type WantedRoleName = "voter" | "stand_by" | "spare";
/** A number of 64 bits: decimal digits where it is above 2^53 - 1. */
export type UnsignedJson = number | string;

/** `POST /v1/cluster/members` */
export interface AddMemberBody {
  /** `HOST:PORT` of the peer listener. */
  raft_address: string;
  /** `HOST:PORT` of the HTTP listener. */
  http_address: string;
  /** Default: that of an earlier life at the same address, else voter. */
  role?: WantedRoleName | undefined;
  weight?: UnsignedJson | undefined;
  failure_domain?: UnsignedJson | undefined;
  timeout_ms?: number | undefined;
}

/** `POST /v1/cluster/members/{member}`: what is left out stays as it is. */
export interface ChangeMemberBody {
  /** With `voter` the answer waits until the member has caught up and has its vote. */
  role?: WantedRoleName | undefined;
  /** The lower, the sooner it leads. */
  weight?: UnsignedJson | undefined;
  failure_domain?: UnsignedJson | undefined;
  timeout_ms?: number | undefined;
}

/** `POST /v1/cluster/transfer` */
export interface TransferBody {
  /** Member id; default: a voter chosen by weight and failure domain. */
  to?: number | undefined;
  timeout_ms?: number | undefined;
}

export type RowJson = ValueJson[] | { [column: string]: ValueJson };

export interface QueryAnswerBody {
  columns: string[];
  /** Declared type of each column, null for expressions. */
  types: (string | null)[];
  rows: RowJson[];
  /** The log index the rows were read at; at level `as_of` the moment shown. */
  index: number;
  level: ReadLevelName;
  /** How long ago the answering node heard a leader; 0 on the leader. */
  age_ms: number;
  time_ms: number;
}

/** What one statement did. Columns, types and rows are there when it returned rows (RETURNING). */
export interface StatementResultBody {
  changes: number;
  last_insert_rowid: ValueJson;
  columns?: string[] | undefined;
  types?: (string | null)[] | undefined;
  rows?: RowJson[] | undefined;
}

export interface ExecuteAnswerBody extends StatementResultBody {
  index: number;
  time_ms: number;
  /** The idempotency key was known: this is the first answer, nothing was written now. */
  replayed?: true | undefined;
}

export interface BatchAnswerBody {
  results: StatementResultBody[];
  index: number;
  time_ms: number;
  replayed?: true | undefined;
}

export interface DatabaseBody {
  name: string;
  id: number;
  page_size: number;
  pages: number;
  bytes: number;
  /** Log index of the newest published change. */
  index: number;
  /** Last index appended for it, committed or not. */
  tip: number;
  /** Everything up to here is in the `.db` file. */
  checkpoint_index: number;
}

export interface DatabaseListBody {
  databases: DatabaseBody[];
}

export interface CreateDatabaseAnswerBody {
  name: string;
  index: number;
}

export interface DropDatabaseAnswerBody {
  index: number;
}

export interface CheckpointAnswerBody {
  /** Everything up to here is in the `.db` file of the node that answered. */
  checkpoint_index: number;
  /** Nothing that was published when the call came is left out. */
  complete: boolean;
}

export interface RestoreAnswerBody {
  index: number;
  pages: number;
  page_size: number;
}

export interface MemberBody {
  id: number;
  raft_address: string;
  http_address: string;
  /** A learner is on its way to a vote; stand-bys and spares stay what they are. */
  role: "leader" | "voter" | "learner" | "stand_by" | "spare";
  /** Last index known to be durable there; null when the answering node has not heard it, and for spares. */
  match_index: number | null;
  /** Entries behind the leader's tip. */
  lag: number | null;
  last_contact_ms: number | null;
  weight: UnsignedJson;
  failure_domain: UnsignedJson;
}

export interface ClusterBody {
  cluster_id: string;
  node_id: number;
  role: "leader" | "follower" | "candidate" | "learner" | "stand_by" | "spare";
  term: number;
  leader_id: number | null;
  leader_http_address: string | null;
  tip: number;
  commit_index: number;
  /** A change of members is under way. */
  changing: boolean;
  members: MemberBody[];
}

export interface MemberIdBody {
  id: number;
}

export interface TransferAnswerBody {
  leader_id: number;
}
