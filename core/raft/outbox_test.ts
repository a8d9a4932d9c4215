import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { AppendReply } from "./message.ts";
import { Outbox } from "./outbox.ts";

const reply = (index: number, change: Partial<AppendReply> = {}): AppendReply => ({
  kind: "append_reply",
  from: 1,
  to: 2,
  term: 3,
  index,
  rejected: false,
  hintIndex: 0,
  hintTerm: 0,
  ...change,
});

Deno.test("Outbox.acknowledge() lets one acknowledgement stand for those before it", () => {
  const outbox = new Outbox();
  outbox.acknowledge(reply(4));
  outbox.acknowledge(reply(7));
  deepStrictEqual(outbox.takeSendAfterSync(), [reply(7)]);
});

Deno.test("Outbox.acknowledge() replaces none of another leader, another term, or a refusal", () => {
  const outbox = new Outbox();
  const replies = [reply(4), reply(5, { to: 3 }), reply(6, { term: 4, to: 3 }), reply(2, { to: 3, term: 4 })];
  for (const each of replies) outbox.acknowledge(each);
  outbox.sendAfterSync(reply(9, { rejected: true }));
  outbox.acknowledge(reply(10));
  deepStrictEqual(outbox.takeSendAfterSync(), [...replies, reply(9, { rejected: true }), reply(10)]);
});

Deno.test("Outbox drops acknowledgements of entries that never reach the disk (promise 1)", () => {
  const outbox = new Outbox();
  outbox.acknowledge(reply(4));
  outbox.acknowledge(reply(8, { to: 3 }));
  outbox.sendAfterSync(reply(9, { rejected: true }));
  outbox.dropAcknowledgementsFrom(5);
  deepStrictEqual(outbox.takeSendAfterSync(), [reply(4), reply(9, { rejected: true })]);
});

Deno.test("Outbox gives each thing once and is empty then", () => {
  const outbox = new Outbox();
  strictEqual(outbox.isEmpty, true);
  outbox.event("x", {});
  outbox.readState({ context: 1, index: 2, rejected: false });
  outbox.sendNow(reply(1));
  strictEqual(outbox.isEmpty, false);
  deepStrictEqual([outbox.takeEvents().length, outbox.takeReadStates().length, outbox.takeSendNow().length], [
    1,
    1,
    1,
  ]);
  deepStrictEqual([outbox.takeEvents(), outbox.takeReadStates(), outbox.takeSendNow()], [[], [], []]);
  strictEqual(outbox.isEmpty, true);
});
