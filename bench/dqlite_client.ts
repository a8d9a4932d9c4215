/** As much of dqlite's client protocol, version 1, as inserts and point reads need. All numbers are little-endian, all fields whole words. */

const WORD = 8;
const VERSION = 1;
const REQUEST = {
  leader: 0,
  client: 1,
  open: 3,
  prepare: 4,
  exec: 5,
  query: 6,
  execSql: 8,
  cluster: 16,
} as const;
const FAILURE = 0;
const INTEGER = 1;
const TEXT = 3;
const VOTER = 0n;

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

export class DqliteClient {
  readonly #conn: Deno.TcpConn;
  #buffer = new Uint8Array(4_096);

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async open(port: number): Promise<DqliteClient> {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    const client = new DqliteClient(conn);
    try {
      await client.#write(new BodyWriter().word(VERSION).bytes());
      await client.#call(REQUEST.client, new BodyWriter().word(0));
      return client;
    } catch (error) {
      conn.close();
      throw error;
    }
  }

  close(): void {
    this.#conn.close();
  }

  /** Address of the leader as the node knows it; empty when it knows none. */
  async leader(): Promise<string> {
    const answer = await this.#call(REQUEST.leader, new BodyWriter().word(0));
    return answer.textAt(WORD).text;
  }

  async voterCount(): Promise<number> {
    const answer = await this.#call(REQUEST.cluster, new BodyWriter().word(1));
    const count = Number(answer.wordAt(0));
    let voters = 0;
    for (let at = WORD, node = 0; node < count; node++) {
      const role = answer.textAt(at + WORD).end;
      if (answer.wordAt(role) === VOTER) voters++;
      at = role + WORD;
    }
    return voters;
  }

  async useDatabase(name: string): Promise<void> {
    await this.#call(REQUEST.open, new BodyWriter().text(name).word(0).text("volatile"));
  }

  async execute(sql: string): Promise<void> {
    await this.#call(REQUEST.execSql, new BodyWriter().word(0).text(sql));
  }

  async prepare(sql: string): Promise<DqliteStatement> {
    const answer = await this.#call(REQUEST.prepare, new BodyWriter().word(0).text(sql));
    return { id: answer.halfAt(4) };
  }

  run(statement: DqliteStatement, values: readonly (number | string)[]): Promise<void> {
    return this.#runAs(REQUEST.exec, statement, values);
  }

  /** A query whose rows come in one part. */
  query(statement: DqliteStatement, values: readonly (number | string)[]): Promise<void> {
    return this.#runAs(REQUEST.query, statement, values);
  }

  async #runAs(
    type: number,
    statement: DqliteStatement,
    values: readonly (number | string)[],
  ): Promise<void> {
    const body = new BodyWriter().halves(0, statement.id);
    body.typeCodes(values.map((value) => typeof value === "number" ? INTEGER : TEXT));
    for (const value of values) typeof value === "number" ? body.word(value) : body.text(value);
    await this.#call(type, body);
  }

  /** One request is under way at a time. */
  async #call(type: number, body: BodyWriter): Promise<BodyReader> {
    const bytes = body.bytes();
    const frame = new Uint8Array(WORD + bytes.length);
    new DataView(frame.buffer).setUint32(0, bytes.length / WORD, true);
    frame[4] = type;
    frame.set(bytes, WORD);
    await this.#write(frame);
    await this.#read(0, WORD);
    const head = new BodyReader(this.#buffer);
    const answerType = this.#buffer[4];
    const length = head.halfAt(0) * WORD;
    if (length + WORD > this.#buffer.length) this.#buffer = new Uint8Array(length + WORD);
    await this.#read(0, length);
    const answer = new BodyReader(this.#buffer);
    if (answerType === FAILURE) throw new DqliteFailure(Number(answer.wordAt(0)), answer.textAt(WORD).text);
    return answer;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
  }

  async #read(from: number, to: number): Promise<void> {
    for (let at = from; at < to;) {
      const read = await this.#conn.read(this.#buffer.subarray(at, to));
      if (read === null) throw new Error("dqlite closed the connection");
      at += read;
    }
  }
}

class BodyWriter {
  readonly #bytes: number[] = [];

  word(value: number): this {
    const word = new Uint8Array(WORD);
    new DataView(word.buffer).setBigInt64(0, BigInt(value), true);
    this.#bytes.push(...word);
    return this;
  }

  halves(first: number, second: number): this {
    const word = new Uint8Array(WORD);
    const view = new DataView(word.buffer);
    view.setUint32(0, first, true);
    view.setUint32(4, second, true);
    this.#bytes.push(...word);
    return this;
  }

  text(value: string): this {
    this.#bytes.push(...new TextEncoder().encode(value), 0);
    return this.#pad();
  }

  typeCodes(codes: readonly number[]): this {
    this.#bytes.push(codes.length, ...codes);
    return this.#pad();
  }

  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }

  #pad(): this {
    while (this.#bytes.length % WORD !== 0) this.#bytes.push(0);
    return this;
  }
}

class BodyReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  wordAt(offset: number): bigint {
    return this.#view.getBigUint64(offset, true);
  }

  halfAt(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** With the offset of the field behind it. */
  textAt(offset: number): { text: string; end: number } {
    const zero = this.#bytes.indexOf(0, offset);
    const text = new TextDecoder().decode(this.#bytes.subarray(offset, zero));
    return { text, end: Math.ceil((zero + 1) / WORD) * WORD };
  }
}
