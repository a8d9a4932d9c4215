import type { EncodedFields, ResultFormat } from "../../core/sql/values.ts";
import { countFields, encodeMsgpack, msgpackFields, msgpackMapHeader } from "../api/msgpack_encode.ts";
import { JSON_HEADER } from "./http_message.ts";

const MSGPACK_HEADER = "content-type: application/msgpack";
const MSGPACK_TYPES = new Set(["application/msgpack", "application/vnd.msgpack", "application/x-msgpack"]);

const utf8 = new TextEncoder();

/** Fields beside the rows. Strings are ASCII names only, so that the JSON text is ASCII too. */
export type AnswerFacts = Readonly<Record<string, number | boolean | string | undefined>>;

export function mediaHeader(format: ResultFormat): string {
  return format === "json" ? JSON_HEADER : MSGPACK_HEADER;
}

/** The media type of a content-type header without its parameters, in lower case. */
export function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return "";
  const end = contentType.indexOf(";");
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

export function isMsgpack(type: string): boolean {
  return MSGPACK_TYPES.has(type);
}

/** msgpack when the accept header names it, unless with weight zero; JSON for everything else. */
export function acceptedFormat(accept: string | undefined): ResultFormat {
  if (accept === undefined || !accept.includes("msgpack")) return "json";
  for (const range of accept.split(",")) {
    if (isMsgpack(mediaType(range)) && !/;\s*q=0(\.0*)?\s*$/.test(range)) return "msgpack";
  }
  return "json";
}

/** A whole body. */
export function encodeBody(
  value: object,
  format: ResultFormat,
): Uint8Array {
  return format === "json" ? utf8.encode(JSON.stringify(value)) : encodeMsgpack(value);
}

/** Adds facts to fields that a worker has encoded, without touching those bytes. */
export function spliceFields(fields: EncodedFields, facts: AnswerFacts): readonly (Uint8Array | string)[] {
  if (fields.format === "msgpack") {
    return [msgpackMapHeader(fields.count + countFields(facts)), fields.bytes, msgpackFields(facts)];
  }
  const text = JSON.stringify(facts);
  return ["{", fields.bytes, (fields.count === 0 ? "" : ",") + text.slice(1)];
}
