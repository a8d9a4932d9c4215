import type { Clock, EventSink, Random, TransportHandler } from "../../core/base/ports.ts";
import type { Identity } from "../wire/handshake.ts";
import type { PeerBounds } from "./bounds.ts";
import type { PeerTiming } from "./timing.ts";
import type { Traffic } from "./traffic.ts";

/** What every part of one transport needs. */
export interface TransportContext {
  readonly identity: Identity;
  /** Shared by all members; it is never sent and must never be part of an event. */
  readonly secret: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: EventSink;
  readonly handler: TransportHandler;
  readonly timing: PeerTiming;
  readonly bounds: PeerBounds;
  readonly traffic: Traffic;
}
