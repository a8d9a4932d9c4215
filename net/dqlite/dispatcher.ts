import type { CancelSignal } from "../../core/base/ports.ts";
import type { NodeService } from "../../core/node/service.ts";
import { type Answer, EMPTY, respond } from "./answer.ts";
import { CallRequests } from "./call_requests.ts";
import { ClusterRequests } from "./cluster_requests.ts";
import { FailureError } from "./failure.ts";
import { FAILURE } from "./failure_codes.ts";
import type { ProtocolVersion } from "./handshake.ts";
import type { Request } from "./request.ts";
import { SqlRequests } from "./sql_requests.ts";

/** dqlite's; no client looks at it. */
const HEARTBEAT_TIMEOUT_MS = 15_000;

export interface DispatcherContext {
  readonly node: NodeService;
  /** Whether Open creates a database that does not exist, as dqlite does. */
  readonly createDatabases: boolean;
}

/** The requests of one connection and what answers each. */
export class Dispatcher {
  readonly #version: ProtocolVersion;
  readonly #sql: SqlRequests;
  readonly #cluster: ClusterRequests;
  readonly #calls: CallRequests;

  constructor({ node, createDatabases }: DispatcherContext, version: ProtocolVersion) {
    this.#version = version;
    this.#sql = new SqlRequests(node, createDatabases);
    this.#cluster = new ClusterRequests(node);
    this.#calls = new CallRequests(node);
  }

  /**
   * @param signal aborts when the client interrupts or leaves
   * @throws whatever `failureOf` knows to turn into a Failure
   */
  async answer(request: Request, signal: CancelSignal): Promise<Answer> {
    switch (request.kind) {
      case "leader":
        return await this.#cluster.leader(this.#version);
      case "client":
        return respond({ kind: "welcome", heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS });
      case "heartbeat":
        throw new FailureError(FAILURE.requestTypeUnknown);
      case "open":
        return await this.#sql.open(request);
      case "prepare":
        return await this.#sql.prepare(request, signal);
      case "exec":
        return await this.#sql.exec(request, signal);
      case "query":
        return await this.#sql.query(request, signal);
      case "finalize":
        return this.#sql.finalize(request);
      case "exec_sql":
        return await this.#sql.execSql(request, signal);
      case "query_sql":
        return await this.#sql.querySql(request, signal);
      case "interrupt":
        return EMPTY;
      case "connect":
        return { kind: "close" };
      case "add":
        return await this.#cluster.add(request);
      case "assign":
        return await this.#cluster.assign(request);
      case "remove":
        return await this.#cluster.remove(request);
      case "dump":
        return await this.#cluster.dump(request);
      case "cluster":
        return await this.#cluster.cluster(request);
      case "transfer":
        return await this.#cluster.transfer(request);
      case "describe":
        return this.#cluster.describe();
      case "weight":
        return await this.#cluster.weight(request);
      case "hello":
        return this.#calls.hello(request);
      case "read":
        return await this.#calls.read(request, signal);
      case "write":
        return await this.#calls.write(request);
    }
  }

  /** The client is gone: its transaction is rolled back. */
  async close(): Promise<void> {
    await this.#sql.close();
  }
}
