/** Calls between members to frames and back: request, response, failure. */
import { assert } from "../../core/base/assert.ts";
import { ERROR_CODES, type ErrorCode, type ErrorDetails, type ErrorRecord } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import { ControlReader, encodeControl } from "./control.ts";
import { type EncodedFrame, encodeFrame, type Frame, FRAME_REST_BYTES_MIN, FrameKind } from "./frame.ts";
import { WireError } from "./wire_error.ts";

export const METHOD_LENGTH_MAX = 64;
/** Message of a failure; SQLite quotes statements in its own, so a longer one is cut. */
const FAILURE_MESSAGE_LENGTH_MAX = 16 * 1024;
const DETAIL_LENGTH_MAX = 1024;
/** Control part of a request or response: an id and a method, with room to spare. */
const CALL_CONTROL_BYTES_MAX = 1024;

/** Largest body of a request or a response. */
export const CALL_BODY_BYTES_MAX = LIMITS.peerFrameBytesMax - FRAME_REST_BYTES_MIN - CALL_CONTROL_BYTES_MAX;

export interface CallRequest {
  /** Chosen by the caller, unique on its connection. */
  readonly id: number;
  readonly method: string;
  readonly body: Uint8Array;
}

export type CallAnswer =
  | { readonly id: number; readonly kind: "response"; readonly body: Uint8Array }
  | { readonly id: number; readonly kind: "failure"; readonly error: ErrorRecord };

export function encodeRequest(request: CallRequest): EncodedFrame {
  const { method } = request;
  assert(method.length <= METHOD_LENGTH_MAX, () => `Cannot encode a call of ${method}: the name is too long`);
  const control = encodeControl([request.id, method, request.body.byteLength]);
  return encodeFrame(FrameKind.request, control, [request.body]);
}

/** @throws WireError */
export function decodeRequest(frame: Frame): CallRequest {
  if (frame.kind !== FrameKind.request) {
    throw new WireError(`Cannot read a request: the frame kind is ${frame.kind}`);
  }
  const reader = new ControlReader(frame.control, "request");
  const id = reader.unsigned("id");
  const method = reader.text("method", METHOD_LENGTH_MAX);
  checkBody(frame, reader.unsigned("body length"), "request");
  reader.end();
  return { id, method, body: frame.body };
}

export function encodeResponse(id: number, body: Uint8Array): EncodedFrame {
  return encodeFrame(FrameKind.response, encodeControl([id, body.byteLength]), [body]);
}

export function encodeFailure(id: number, error: ErrorRecord): EncodedFrame {
  const { field, limit, sqlite_code, statement_index, leader } = error.details;
  return encodeFrame(
    FrameKind.failure,
    encodeControl([
      id,
      error.code,
      error.message.slice(0, FAILURE_MESSAGE_LENGTH_MAX),
      field?.slice(0, DETAIL_LENGTH_MAX) ?? null,
      limit?.name.slice(0, DETAIL_LENGTH_MAX) ?? null,
      unsignedOrNull(limit?.value),
      unsignedOrNull(sqlite_code),
      unsignedOrNull(statement_index),
      leader?.slice(0, DETAIL_LENGTH_MAX) ?? null,
    ]),
  );
}

/** @throws WireError */
export function decodeAnswer(frame: Frame): CallAnswer {
  if (frame.kind === FrameKind.response) {
    const reader = new ControlReader(frame.control, "response");
    const id = reader.unsigned("id");
    checkBody(frame, reader.unsigned("body length"), "response");
    reader.end();
    return { id, kind: "response", body: frame.body };
  }
  if (frame.kind !== FrameKind.failure) {
    throw new WireError(`Cannot read an answer: the frame kind is ${frame.kind}`);
  }
  const reader = new ControlReader(frame.control, "failure");
  const id = reader.unsigned("id");
  const code = reader.text("code", METHOD_LENGTH_MAX);
  const message = reader.text("message", FAILURE_MESSAGE_LENGTH_MAX);
  const details = decodeDetails(reader);
  reader.end();
  checkBody(frame, 0, "failure");
  if (isErrorCode(code)) return { id, kind: "failure", error: { code, message, details } };
  // A code this version does not know says nothing about the fate of the request.
  return { id, kind: "failure", error: { code: "commit_unknown", message: `${code}: ${message}`, details } };
}

function decodeDetails(reader: ControlReader): ErrorDetails {
  const text = (name: string) => reader.optional(() => reader.text(name, DETAIL_LENGTH_MAX));
  const unsigned = (name: string) => reader.optional(() => reader.unsigned(name));
  const field = text("field");
  const limitName = text("limit name");
  const limitValue = unsigned("limit value");
  const sqliteCode = unsigned("sqlite code");
  const statementIndex = unsigned("statement index");
  const leader = text("leader");
  return {
    ...(field === undefined ? {} : { field }),
    ...(limitName === undefined || limitValue === undefined
      ? {}
      : { limit: { name: limitName, value: limitValue } }),
    ...(sqliteCode === undefined ? {} : { sqlite_code: sqliteCode }),
    ...(statementIndex === undefined ? {} : { statement_index: statementIndex }),
    ...(leader === undefined ? {} : { leader }),
  };
}

/** A detail that does not fit is left out: the error itself matters more. */
function unsignedOrNull(value: number | undefined): number | null {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

function checkBody(frame: Frame, bytes: number, what: string): void {
  if (frame.body.byteLength !== bytes) {
    throw new WireError(`Cannot read ${what}: its body has ${frame.body.byteLength} bytes, not ${bytes}`);
  }
}
