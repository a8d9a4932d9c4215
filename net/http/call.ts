import { NodeError } from "../../core/base/errors.ts";
import type { LogIndex, Milliseconds } from "../../core/base/ids.ts";
import { DATABASE_NAME_PATTERN, LIMITS } from "../../core/base/limits.ts";
import type { Clock } from "../../core/base/ports.ts";
import type { NodeService } from "../../core/node/service.ts";
import type { EncodedFields, ResultFormat } from "../../core/sql/values.ts";
import { DatabasePath, TimeoutQuery } from "../api/schemas.ts";
import { type Output, type Schema, validate } from "../api/validate.ts";
import { type AnswerFacts, encodeBody, mediaHeader, spliceFields } from "./answer_encoding.ts";
import type { HttpRequest, HttpResponse } from "./http_message.ts";
import type { HttpMetrics } from "./metrics.ts";
import { type BodyBudget, readValue } from "./read_body.ts";

/** One of `QUERY_SCHEMAS`. */
type QuerySchema = Schema & { readonly shape: object };

/** What handlers share. */
export interface AppServices {
  readonly node: NodeService;
  readonly clock: Clock;
  readonly metrics: HttpMetrics;
  readonly version: string;
  readonly budget: BodyBudget;
  readonly requestBodyBytesMax: number;
  readonly uploadBytesMax: number;
}

/** One request on its way through a handler. */
export class Call {
  readonly services: AppServices;
  readonly request: HttpRequest;
  readonly format: ResultFormat;
  readonly #variable: string;
  readonly #startMs: Milliseconds;

  constructor(
    services: AppServices,
    request: HttpRequest,
    variable: string,
    format: ResultFormat,
    startMs: Milliseconds,
  ) {
    this.services = services;
    this.request = request;
    this.format = format;
    this.#variable = variable;
    this.#startMs = startMs;
  }

  get node(): NodeService {
    return this.services.node;
  }

  /** The database named by the path. Throws NodeError bad_request for what cannot be a name. */
  get database(): string {
    if (DATABASE_NAME_PATTERN.test(this.#variable)) return this.#variable;
    return validate(DatabasePath, { database: this.#variable }).database;
  }

  /** The member named by the path. Throws NodeError bad_request. */
  get member(): number {
    if (/^[1-9][0-9]{0,14}$/.test(this.#variable)) return Number(this.#variable);
    throw new NodeError("bad_request", 'Field "member" must be the id of a member, a positive integer', {
      field: "member",
    });
  }

  /** Reads, parses and checks the body. */
  async body<S extends Schema>(schema: S): Promise<Output<S>> {
    const { requestBodyBytesMax, budget } = this.services;
    return validate(schema, await readValue(this.request, requestBodyBytesMax, budget));
  }

  /** The query string, for calls without a JSON body. */
  query<S extends QuerySchema>(schema: S): Output<S> {
    const values: Record<string, unknown> = {};
    for (const [name, text] of new URLSearchParams(this.request.query)) {
      if (Object.hasOwn(values, name)) throw badQuery(name, "comes twice");
      if (!Object.hasOwn(schema.shape, name)) throw badQuery(name, "is not known");
      values[name] = /^[0-9]{1,15}$/.test(text) ? Number(text) : text;
    }
    return validate(schema, values);
  }

  /** `timeout_ms` of the query string, for calls that have no other option. */
  get timeoutMs(): Milliseconds {
    return this.request.query === "" ? LIMITS.requestMsDefault : this.query(TimeoutQuery).timeout_ms;
  }

  /** Throws NodeError bad_request when there is a query string: a misplaced option must not go unnoticed. */
  requireNoQuery(): void {
    if (this.request.query === "") return;
    const [name] = new URLSearchParams(this.request.query).keys();
    throw badQuery(name ?? this.request.query, "is not known here");
  }

  /** `Idempotency-Key`. Throws NodeError bad_request for what is not 1 to 255 printable ASCII characters. */
  get idempotencyKey(): string | undefined {
    const key = this.request.headers.get("idempotency-key");
    if (key === undefined || /^[\x20-\x7e]{1,255}$/.test(key)) return key;
    throw new NodeError(
      "bad_request",
      "The header idempotency-key must be 1 to 255 printable ASCII characters",
      {
        field: "idempotency-key",
      },
    );
  }

  /** Since the request arrived, to the microsecond. */
  get elapsedMs(): Milliseconds {
    return Math.round((this.services.clock.nowMs() - this.#startMs) * 1000) / 1000;
  }

  answer(status: number, body: object, index?: LogIndex): HttpResponse {
    return { status, headers: this.headers(index), body: [encodeBody(body, this.format)] };
  }

  /** An answer whose rows are encoded already. */
  spliced(
    fields: EncodedFields,
    facts: AnswerFacts,
    index: LogIndex,
    committedMs?: Milliseconds,
  ): HttpResponse {
    return { status: 200, headers: this.headers(index), body: spliceFields(fields, facts), committedMs };
  }

  headers(index?: LogIndex): readonly string[] {
    const media = mediaHeader(this.format);
    return index === undefined ? [media] : [media, indexHeader(index)];
  }
}

/** Every answer that has a log index shows it here too, so that proxies and scripts need not read the body. */
export function indexHeader(index: LogIndex): string {
  return `walraft-index: ${index}`;
}

function badQuery(name: string, problem: string): NodeError {
  const field = `query.${name.slice(0, 100)}`;
  return new NodeError("bad_request", `The query parameter "${name.slice(0, 100)}" ${problem}`, { field });
}
