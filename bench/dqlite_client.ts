/** A client of dqlite's protocol that does what the bench needs, over the connection that the TypeScript client has. */
import { WireConnection } from "../net/client/wire_connection.ts";
import { tupleOf } from "../net/dqlite/parameters.ts";
import { type Request, Role } from "../net/dqlite/request.ts";
import type { Response } from "../net/dqlite/response.ts";

export interface DqliteStatement {
  readonly id: number;
}

export class DqliteFailure extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(`dqlite answered ${code}: ${message}`);
    this.code = code;
  }

  /** Another connection is in a write transaction. */
  get isBusy(): boolean {
    return this.code === 5;
  }
}

type AnswerOf<K extends Response["kind"]> = Extract<Response, { kind: K }>;

export class DqliteClient {
  readonly #connection: WireConnection;

  constructor(connection: WireConnection) {
    this.#connection = connection;
  }

  static async open(port: number): Promise<DqliteClient> {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    socket.setNoDelay(true);
    const client = new DqliteClient(new WireConnection(`127.0.0.1:${port}`, socket));
    await client.#ask("welcome", { kind: "client", clientId: 0 });
    return client;
  }

  close(): void {
    this.#connection.close();
  }

  /** Address of the leader as the node knows it; empty when it knows none. */
  async leader(): Promise<string> {
    return (await this.#ask("node", { kind: "leader" })).address;
  }

  async voterCount(): Promise<number> {
    const { nodes } = await this.#ask("nodes", { kind: "cluster", format: 1 });
    return nodes.filter(({ role }) => role === Role.voter).length;
  }

  async useDatabase(name: string): Promise<void> {
    await this.#ask("database", { kind: "open", name, flags: 0, vfs: "volatile" });
  }

  async execute(sql: string): Promise<void> {
    await this.#ask("result", { kind: "exec_sql", schema: 0, databaseId: 0, sql, parameters: tupleOf([]) });
  }

  async prepare(sql: string): Promise<DqliteStatement> {
    const { statementId } = await this.#ask("statement", { kind: "prepare", schema: 0, databaseId: 0, sql });
    return { id: statementId };
  }

  async run({ id }: DqliteStatement, values: readonly (number | string)[]): Promise<void> {
    const parameters = tupleOf(values);
    await this.#ask("result", { kind: "exec", schema: 0, databaseId: 0, statementId: id, parameters });
  }

  async query({ id }: DqliteStatement, values: readonly (number | string)[]): Promise<void> {
    const parameters = tupleOf(values);
    await this.#ask("rows", { kind: "query", schema: 0, databaseId: 0, statementId: id, parameters });
  }

  async #ask<K extends Response["kind"]>(kind: K, request: Request): Promise<AnswerOf<K>> {
    const [answer] = await this.#connection.ask(request);
    if (answer?.kind === "failure") throw new DqliteFailure(answer.code, answer.message);
    if (answer?.kind !== kind) {
      throw new Error(`Expected ${kind} as an answer to ${request.kind}, got ${answer?.kind}`);
    }
    return answer as AnswerOf<K>;
  }
}
