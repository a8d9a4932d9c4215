import { deepEqual, equal } from "node:assert/strict";
import { mustHave } from "../../core/base/assert.ts";
import { CALL_BODY_BYTES_MAX, type CallAnswer, decodeAnswer, encodeRequest } from "../wire/call_codec.ts";
import { frameBytes } from "../wire/frame.ts";
import { readFrames } from "../wire/frame_reader.ts";
import { CallServer } from "./call_server.ts";

const FRAME_MAX = 30_000_000;

function newServer(serve: (method: string, body: Uint8Array) => Promise<Uint8Array>) {
  const answers: CallAnswer[] = [];
  const state = { overflows: 0, accepts: true };
  const server = new CallServer({
    serve,
    send: (frame) => {
      if (state.accepts) {
        answers.push(decodeAnswer(mustHave(readFrames(frameBytes(frame), FRAME_MAX)[0], "frame")));
      }
      return state.accepts;
    },
    onOverflow: () => state.overflows += 1,
    callsMax: 2,
    servedBytesMax: 100,
  });
  const request = (id: number, bytes = 0) => {
    const frame = frameBytes(encodeRequest({ id, method: "write", body: new Uint8Array(bytes) }));
    for (const received of readFrames(frame, FRAME_MAX)) server.onFrame(received);
  };
  const codes = () =>
    answers.map((answer) => [answer.id, answer.kind === "failure" ? answer.error.code : "ok"]);
  return { request, answers, codes, state };
}

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

Deno.test("CallServer refuses calls above its bounds and goes on when others end", async () => {
  const ends: (() => void)[] = [];
  const { request, codes } = newServer(() =>
    new Promise((resolve) => ends.push(() => resolve(new Uint8Array(0))))
  );
  request(1);
  request(2);
  request(3);
  deepEqual(codes(), [[3, "queue_full"]]);
  for (const end of ends.splice(0)) end();
  await turn();
  request(4, 200);
  request(5, 1);
  deepEqual(codes(), [[3, "queue_full"], [1, "ok"], [2, "ok"], [5, "queue_full"]]);
  for (const end of ends.splice(0)) end();
  await turn();
  deepEqual(codes().at(-1), [4, "ok"]);
});

Deno.test("CallServer does not promise that nothing happened when the answer is too large", async () => {
  const { request, codes } = newServer(() => Promise.resolve(new Uint8Array(CALL_BODY_BYTES_MAX + 1)));
  request(1);
  await turn();
  deepEqual(codes(), [[1, "commit_unknown"]]);
});

Deno.test("CallServer reports answers that find no room", async () => {
  const { request, state } = newServer((_, body) => Promise.resolve(body));
  state.accepts = false;
  request(1);
  await turn();
  equal(state.overflows, 1);
});

Deno.test("CallServer answers when serving throws at once", async () => {
  const { request, codes } = newServer(() => {
    throw new RangeError("broken");
  });
  request(1);
  await turn();
  deepEqual(codes(), [[1, "internal"]]);
});
