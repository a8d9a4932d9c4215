import type { Response } from "./response.ts";

/** What a request is answered with, before it is bytes. */
export type Answer =
  | { readonly kind: "response"; readonly response: Response }
  /** A whole message. */
  | { readonly kind: "message"; readonly bytes: Uint8Array }
  /** Whole messages; after a failure in the middle a Failure takes the place of the next. */
  | {
    readonly kind: "parts";
    readonly parts: Iterable<Uint8Array>;
    /** Memory that is held until they are sent. */
    readonly bytes: number;
  }
  /** One message in pieces; after a failure in the middle the connection has to be closed. */
  | { readonly kind: "stream"; readonly chunks: AsyncIterable<Uint8Array> }
  /** Nothing to say: the connection is closed. */
  | { readonly kind: "close" };

export const respond = (response: Response): Answer => ({ kind: "response", response });

export const EMPTY: Answer = respond({ kind: "empty" });
