import { positive, toNodeTimeoutMs } from "./call_arguments.ts";
import { CallRunner } from "./call_runner.ts";
import {
  type ClusterInfo,
  type DatabaseInfo,
  type MemberChange,
  type NewMember,
  toClusterInfo,
  toDatabaseInfo,
  toDatabaseInfos,
  toMemberChangeBody,
} from "./cluster_types.ts";
import { Database } from "./database.ts";
import { CLUSTER_REQUEST, type HttpCall, HttpPort } from "./http_port.ts";
import type { CallOptions, ReadLevel } from "./row_types.ts";
import { type Runtime, webRuntime } from "./runtime.ts";
import type { SqlClientOptions } from "./sql_database.ts";
import { toNodeUrl, Topology } from "./topology.ts";
import { invalidArgument, isWalraftError } from "./walraft_error.ts";

export interface ClientOptions extends SqlClientOptions {
  /** Sent as `Authorization: Bearer …` to every node. */
  readonly token?: string;
  readonly fetch?: typeof globalThis.fetch;
}

const MIB = 1024 * 1024;
const DEFAULTS = { timeoutMs: 30_000, attemptsMax: 16, answerBytesMax: 128 * MIB } as const;

/** What the databases of one client share. */
export interface ClientContext {
  readonly runner: CallRunner<HttpCall, unknown>;
  readonly runtime: Runtime;
  readonly timeoutMs: number;
  readonly idempotencyKeys: boolean;
  readonly level: ReadLevel | undefined;
  /** The highest log index in any answer so far. */
  seenIndex(): number;
  noteIndex(index: unknown): void;
}

/** A connection to a cluster. It holds no socket of its own and needs no closing. */
export class Client {
  readonly #context: ClientContext;
  readonly #topology: Topology;
  #seenIndex = 0;

  constructor(urls: string | readonly string[], options: ClientOptions = {}, runtime?: Runtime) {
    const list = (typeof urls === "string" ? urls.split(",") : urls).map((url) => toNodeUrl(url.trim()));
    if (list.length === 0) throw invalidArgument("Cannot connect: no URL was given");
    this.#topology = new Topology(list);
    const used = runtime ?? webRuntime(options.fetch);
    const port = new HttpPort(used, {
      token: options.token,
      answerBytesMax: positive("answerBytesMax", options.answerBytesMax ?? DEFAULTS.answerBytesMax),
    });
    const runner = new CallRunner<HttpCall, unknown>(this.#topology, used, port, {
      attemptsMax: positive("attemptsMax", options.attemptsMax ?? DEFAULTS.attemptsMax),
      attemptTimeoutMs: options.attemptTimeoutMs,
      discover: options.discover ?? true,
    });
    this.#context = {
      runner,
      runtime: used,
      timeoutMs: positive("timeoutMs", options.timeoutMs ?? DEFAULTS.timeoutMs),
      idempotencyKeys: options.idempotencyKeys ?? true,
      level: options.level,
      seenIndex: () => this.#seenIndex,
      noteIndex: (index) => {
        if (typeof index === "number" && index > this.#seenIndex) this.#seenIndex = index;
      },
    };
  }

  /**
   * The highest log index this client has seen. A query at level `index` uses it by default, so that a client always
   * reads its own writes, on any node. Hand it to another client's `sawIndex` to extend the session.
   */
  get lastIndex(): number {
    return this.#seenIndex;
  }

  /** Queries at level `index` will see at least this log index from now on. */
  sawIndex(index: number): void {
    this.#context.noteIndex(index);
  }

  /** URLs in use and the leader as far as known. */
  get nodes(): { readonly urls: readonly string[]; readonly leader: string | undefined } {
    return { urls: this.#topology.urls, leader: this.#topology.leader };
  }

  /** A handle; nothing is sent. The database is created by the first write unless the cluster forbids it. */
  database(name: string): Database {
    return new Database(name, this.#context);
  }

  async databases(options: CallOptions = {}): Promise<DatabaseInfo[]> {
    return toDatabaseInfos(await this.#read("/v1/databases", options));
  }

  /** Pages, bytes and indexes of one database. */
  async describeDatabase(name: string, options: CallOptions = {}): Promise<DatabaseInfo> {
    return toDatabaseInfo(await this.#read(`/v1/databases/${encodeURIComponent(name)}`, options));
  }

  /**
   * Creates an empty database. One that exists is the error `database_exists`, or with `ifNotExists` the answer
   * `created: false`.
   */
  async createDatabase(
    name: string,
    options: CallOptions & { readonly ifNotExists?: boolean } = {},
  ): Promise<{ created: boolean; index: number }> {
    const ifNotExists = options.ifNotExists ?? false;
    try {
      const answer = await this.#change("POST", "/v1/databases", { name }, ifNotExists, options);
      return { created: true, index: Number(answer.index ?? 0) };
    } catch (error) {
      if (!ifNotExists || !isWalraftError(error, "database_exists")) throw error;
      return { created: false, index: this.#seenIndex };
    }
  }

  async dropDatabase(name: string, options: CallOptions = {}): Promise<{ index: number }> {
    const path = `/v1/databases/${encodeURIComponent(name)}`;
    const answer = await this.#change("DELETE", path, undefined, false, options);
    return { index: Number(answer.index ?? 0) };
  }

  /** Members, roles and indexes as the answering node knows them; the leader knows most. */
  async cluster(options: CallOptions = {}): Promise<ClusterInfo> {
    return toClusterInfo(await this.#read(CLUSTER_REQUEST.path, options));
  }

  /** Adds a member. Nodes started with `--join` add themselves. */
  async addMember(member: NewMember, options: CallOptions = {}): Promise<{ id: number }> {
    const addresses = { raft_address: member.raftAddress, http_address: member.httpAddress };
    const body = { ...addresses, ...toMemberChangeBody(member) };
    const answer = await this.#change("POST", "/v1/cluster/members", body, false, options);
    return { id: Number(answer.id) };
  }

  /**
   * Gives a member another role, weight or failure domain. With role `voter` it resolves when the member has caught up and
   * has its vote; after the error `commit_unknown` it gets it later by itself.
   */
  async changeMember(id: number, change: MemberChange, options: CallOptions = {}): Promise<void> {
    await this.#change("POST", `/v1/cluster/members/${id}`, toMemberChangeBody(change), true, options);
  }

  async removeMember(id: number, options: CallOptions = {}): Promise<void> {
    await this.#change("DELETE", `/v1/cluster/members/${id}`, undefined, false, options);
  }

  /** Hands leadership over; without `to`, to a voter chosen by weight and failure domain. */
  async transfer(to?: number, options: CallOptions = {}): Promise<{ leaderId: number }> {
    const answer = await this.#change(
      "POST",
      "/v1/cluster/transfer",
      to === undefined ? {} : { to },
      false,
      options,
    );
    return { leaderId: Number(answer.leader_id) };
  }

  #read(path: string, options: CallOptions): Promise<unknown> {
    return this.#context.runner.run({
      method: "GET",
      path,
      answer: "json",
      isWrite: false,
      bodyIsRepeatable: true,
      repeatable: true,
      purpose: "leader",
      timeoutMs: options.timeoutMs ?? this.#context.timeoutMs,
      signal: options.signal,
    });
  }

  async #change(
    method: "POST" | "DELETE",
    path: string,
    body: object | undefined,
    repeatable: boolean,
    options: CallOptions,
  ): Promise<{ readonly [name: string]: unknown }> {
    const timeoutMs = options.timeoutMs ?? this.#context.timeoutMs;
    const nodeTimeoutMs = toNodeTimeoutMs(timeoutMs);
    const text = body === undefined ? undefined : JSON.stringify({ ...body, timeout_ms: nodeTimeoutMs });
    const answer = await this.#context.runner.run({
      method,
      path: text === undefined ? `${path}?timeout_ms=${nodeTimeoutMs}` : path,
      ...(text === undefined ? {} : { body: () => text }),
      answer: "json",
      isWrite: true,
      bodyIsRepeatable: true,
      repeatable,
      purpose: "leader",
      timeoutMs,
      signal: options.signal,
    }) as { readonly [name: string]: unknown };
    this.#context.noteIndex(answer.index);
    return answer;
  }
}

/**
 * Connects to a cluster by the URLs of some of its nodes (a list, or one string with commas). Nothing is sent yet.
 * With `database` the answer is that database instead of the client.
 *
 * ```ts
 * const db = connect("http://127.0.0.1:4001", { database: "main" });
 * await db.execute(sql`INSERT INTO city (name, people) VALUES (${"Oslo"}, ${709_037})`);
 * const rows = await db.query<{ name: string }>("SELECT name FROM city");
 * ```
 */
export function connect(
  urls: string | readonly string[],
  options: ClientOptions & { readonly database: string },
): Database;
export function connect(urls: string | readonly string[], options?: ClientOptions): Client;
export function connect(
  urls: string | readonly string[],
  options: ClientOptions & { readonly database?: string } = {},
): Client | Database {
  const client = new Client(urls, options);
  return options.database === undefined ? client : client.database(options.database);
}
