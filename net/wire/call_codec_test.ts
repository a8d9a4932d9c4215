import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { AssertionError } from "../../core/base/assert.ts";
import type { ErrorRecord } from "../../core/base/errors.ts";
import { LIMITS } from "../../core/base/limits.ts";
import {
  CALL_BODY_BYTES_MAX,
  decodeAnswer,
  decodeRequest,
  encodeFailure,
  encodeRequest,
  encodeResponse,
} from "./call_codec.ts";
import { encodeControl } from "./control.ts";
import { type EncodedFrame, type Frame, frameBytes, FrameKind } from "./frame.ts";
import { readFrames } from "./frame_reader.ts";

function receive(encoded: EncodedFrame): Frame {
  const [frame] = readFrames(frameBytes(encoded), LIMITS.peerFrameBytesMax);
  ok(frame !== undefined);
  return frame;
}

Deno.test("decodeRequest() gives back a request", () => {
  const request = { id: 7, method: "write", body: new Uint8Array([1, 2, 3]) };
  deepEqual(structuredClone(decodeRequest(receive(encodeRequest(request)))), request);
  throws(() => encodeRequest({ ...request, method: "m".repeat(65) }), AssertionError);
});

Deno.test("encodeRequest() has room for the largest body allowed", () => {
  const frame = encodeRequest({
    id: Number.MAX_SAFE_INTEGER,
    method: "é".repeat(64),
    body: new Uint8Array(CALL_BODY_BYTES_MAX),
  });
  ok(frame.byteLength <= LIMITS.peerFrameBytesMax);
});

Deno.test("decodeAnswer() gives back responses and failures", () => {
  const body = new Uint8Array([4]);
  const response = decodeAnswer(receive(encodeResponse(3, body)));
  deepEqual(structuredClone(response), { id: 3, kind: "response", body });
  const errors: ErrorRecord[] = [
    { code: "no_quorum", message: "Cannot commit", details: {} },
    {
      code: "sql_error",
      message: "near",
      details: {
        field: "f",
        limit: { name: "l", value: 1 },
        sqlite_code: 2,
        statement_index: 0,
        leader: "host:1",
      },
    },
  ];
  for (const error of errors) {
    deepEqual(decodeAnswer(receive(encodeFailure(9, error))), { id: 9, kind: "failure", error });
  }
});

Deno.test("encodeFailure() cuts texts and leaves out numbers that do not fit", () => {
  const details = {
    limit: { name: "x".repeat(5_000), value: NaN },
    sqlite_code: -1,
    leader: "y".repeat(5_000),
  };
  const answer = decodeAnswer(
    receive(encodeFailure(1, { code: "internal", message: "z".repeat(100_000), details })),
  );
  ok(answer.kind === "failure");
  equal(answer.error.message.length, 16 * 1024);
  deepEqual(answer.error.details, { leader: "y".repeat(1_024) });
});

Deno.test("decodeAnswer() takes an unknown code for an unknown fate", () => {
  const control = encodeControl([1, "later_code", "text", null, null, null, null, null, null]);
  const answer = decodeAnswer({ kind: FrameKind.failure, control, body: new Uint8Array(0) });
  ok(answer.kind === "failure");
  deepEqual([answer.error.code, answer.error.message], ["commit_unknown", "later_code: text"]);
});

Deno.test("decodeRequest() and decodeAnswer() refuse what contradicts itself", () => {
  const body = new Uint8Array(2);
  const request = encodeControl([1, "m", 3]);
  throws(
    () => decodeRequest({ kind: FrameKind.request, control: request, body }),
    /its body has 2 bytes, not 3/,
  );
  throws(() => decodeRequest({ kind: FrameKind.response, control: request, body }), /frame kind is 33/);
  throws(() => decodeAnswer({ kind: FrameKind.request, control: request, body }), /frame kind is 32/);
  const response = encodeControl([1, 1]);
  throws(
    () => decodeAnswer({ kind: FrameKind.response, control: response, body }),
    /its body has 2 bytes, not 1/,
  );
});
