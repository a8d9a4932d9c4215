/** A client of the dqlite protocol that says what a test wants it to say, and no more. */
import { fail } from "node:assert/strict";
import { FrameReader } from "../../net/dqlite/frame_reader.ts";
import type { Frame } from "../../net/dqlite/frame.ts";
import { encodeHandshake, type ProtocolVersion } from "../../net/dqlite/handshake.ts";
import { type Parameter, tupleOf } from "../../net/dqlite/parameters.ts";
import type { Request } from "../../net/dqlite/request.ts";
import { writeRequest } from "../../net/dqlite/request_codec.ts";
import type { Response, ResponseKind } from "../../net/dqlite/response.ts";
import { decodeResponse } from "../../net/dqlite/response_codec.ts";
import type { Tuple } from "../../net/wire/tuple.ts";
import { TupleWriter } from "../../net/wire/tuple_writer.ts";

type ResponseOf<K extends ResponseKind> = Extract<Response, { kind: K }>;

/** A whole result. */
export interface Rows {
  readonly columns: readonly string[];
  readonly rows: readonly Tuple[];
  readonly parts: number;
}

export class WireClient {
  readonly socket: Deno.TcpConn;
  readonly #reader = new FrameReader();
  readonly #version: ProtocolVersion;

  constructor(socket: Deno.TcpConn, version: ProtocolVersion) {
    this.socket = socket;
    this.#version = version;
  }

  static async connect(port: number, version: ProtocolVersion = "one"): Promise<WireClient> {
    const socket = await Deno.connect({ hostname: "127.0.0.1", port });
    socket.setNoDelay(true);
    const client = new WireClient(socket, version);
    await client.sendBytes(encodeHandshake(version));
    return client;
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.socket.write(bytes.subarray(sent));
  }

  async send(...requests: Request[]): Promise<void> {
    const writer = new TupleWriter();
    for (const request of requests) writeRequest(writer, request);
    await this.sendBytes(writer.take());
  }

  /** Undefined once the server has closed the connection. */
  async frame(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#reader.next();
      if (frame !== undefined) return frame;
      const chunk = new Uint8Array(64 * 1024);
      const count = await this.socket.read(chunk).catch(() => null);
      if (count === null) return undefined;
      this.#reader.push(chunk.subarray(0, count));
    }
  }

  async receive(): Promise<Response> {
    const frame = await this.frame() ?? fail("The server has closed the connection");
    return decodeResponse(frame, { version: this.#version, clusterFormat: 1 });
  }

  async ask(request: Request): Promise<Response> {
    await this.send(request);
    return await this.receive();
  }

  /** Asks and fails when the answer is of another kind. */
  async expect<K extends ResponseKind>(kind: K, request: Request): Promise<ResponseOf<K>> {
    const response = await this.ask(request);
    if (response.kind !== kind) fail(`Expected ${kind}, got ${JSON.stringify(response)}`);
    return response as ResponseOf<K>;
  }

  exec(sql: string, ...parameters: Parameter[]): Promise<Response> {
    return this.ask({ kind: "exec_sql", schema: 0, databaseId: 0, sql, parameters: tupleOf(parameters) });
  }

  /** Runs it and fails when it fails. */
  async run(sql: string, ...parameters: Parameter[]): Promise<ResponseOf<"result">> {
    const response = await this.exec(sql, ...parameters);
    if (response.kind !== "result") fail(`${sql}: ${JSON.stringify(response)}`);
    return response;
  }

  /** Code and text of the failure that must be the answer. */
  async failure(sql: string, ...parameters: Parameter[]): Promise<[number, string]> {
    const response = await this.exec(sql, ...parameters);
    if (response.kind !== "failure") fail(`${sql} did not fail: ${JSON.stringify(response)}`);
    return [response.code, response.message];
  }

  async query(sql: string, ...parameters: Parameter[]): Promise<Rows> {
    await this.send({ kind: "query_sql", schema: 0, databaseId: 0, sql, parameters: tupleOf(parameters) });
    return await this.rows();
  }

  /** The values of a query. */
  async values(sql: string, ...parameters: Parameter[]): Promise<unknown[][]> {
    return (await this.query(sql, ...parameters)).rows.map(({ values }) => [...values]);
  }

  /** Takes a result to its end. */
  async rows(): Promise<Rows> {
    const rows: Tuple[] = [];
    for (let parts = 1;; parts++) {
      const response = await this.receive();
      if (response.kind !== "rows") fail(`Expected rows, got ${JSON.stringify(response)}`);
      rows.push(...response.rows);
      if (response.isLast) return { columns: response.columns, rows, parts };
    }
  }

  close(): void {
    try {
      this.socket.close();
    } catch {
      // A test has closed it.
    }
  }
}
