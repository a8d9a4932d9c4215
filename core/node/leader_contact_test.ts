import { strictEqual } from "node:assert/strict";
import { ManualClock } from "../../tests/support/manual_clock.ts";
import { NodeError } from "../base/errors.ts";
import { LeaderContact } from "./leader_contact.ts";

const HEARTBEAT = { kind: "heartbeat", from: 1, to: 2, commitIndex: 0, readRound: 0, leaseMs: 0 } as const;

Deno.test("LeaderContact measures from the last word of a leader of this term or a later one", () => {
  const clock = new ManualClock();
  const contact = new LeaderContact({ clock, confirm: () => Promise.resolve(0) });
  strictEqual(contact.ageMs, Infinity);
  contact.onMessage({ ...HEARTBEAT, term: 3 }, 3);
  clock.advance(40);
  contact.onMessage({ ...HEARTBEAT, term: 2 }, 3);
  contact.onMessage({ kind: "heartbeat_reply", from: 1, to: 2, term: 3, readRound: 0, leaseMs: 0 }, 3);
  strictEqual(contact.ageMs, 40);
});

Deno.test("LeaderContact: caught up means what the leader says was committed, asked until it answers", async () => {
  const answers = [Promise.reject(new NodeError("no_quorum", "not now")), Promise.resolve(9)];
  let asked = 0;
  const contact = new LeaderContact({
    clock: new ManualClock(),
    confirm: () => answers[asked++] ?? Promise.reject(new Error("asked too often")),
  });
  const settle = () =>
    new Promise((resolve) => queueMicrotask(() => queueMicrotask(() => resolve(undefined))));
  contact.ask();
  contact.ask();
  strictEqual(asked, 1, "one question at a time");
  await settle();
  strictEqual(contact.hasCaughtUp(1_000), false);
  contact.ask();
  await settle();
  contact.ask();
  strictEqual(asked, 2);
  strictEqual(contact.hasCaughtUp(8), false);
  strictEqual(contact.hasCaughtUp(9), true);
});
