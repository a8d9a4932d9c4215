/**
 * Strict parser of an HTTP/1.1 request head (RFC 9112). What two implementations could read differently is refused,
 * because the difference is what request smuggling lives on: bare LF, folded lines, space before the colon, repeated
 * or malformed framing headers, both framings at once.
 */
import { Buffer } from "node:buffer";

/** The body as announced: a length, or `chunked`. */
export type BodyFraming = number | "chunked";

export interface RequestHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: BodyFraming;
  /** The client asked to close after this request. */
  readonly wantsClose: boolean;
  readonly expectsContinue: boolean;
}

/** A head that is refused; the connection cannot go on, because where the next request starts is not known. */
export class HeadRefused extends Error {
  constructor(readonly status: 400 | 417 | 431 | 501 | 505, message: string) {
    super(message);
  }
}

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;

/** More headers than any client sends; bounds what a Map per request costs. */
export const HEADER_COUNT_MAX = 128;

const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** 1 for bytes of a token (methods, header names). */
const IS_TOKEN = new Uint8Array(256);
for (const character of TOKEN_CHARACTERS) IS_TOKEN[character.charCodeAt(0)] = 1;

/** 1 for bytes of a header value: visible ASCII, space, tab, and opaque bytes from 0x80. */
const IS_VALUE = new Uint8Array(256).fill(1, SPACE);
IS_VALUE[TAB] = 1;
IS_VALUE[0x7f] = 0;

/** Headers that mean something different, or nothing certain, when they come twice. */
const SINGLE_HEADERS = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "content-type",
  "authorization",
  "idempotency-key",
  "expect",
  "origin",
]);

/**
 * Looks for the empty line that ends a head.
 *
 * @param from where to look on: the start of the head, or the `resume` of the last call
 * @returns `end`, the position behind the empty line, or -1; `resume`, the start of the first line not complete yet
 */
export function findHeadEnd(
  bytes: Uint8Array,
  from: number,
  limit: number,
): { readonly end: number; readonly resume: number } {
  let line = from;
  for (;;) {
    const lf = bytes.indexOf(LF, line);
    if (lf < 0 || lf >= limit) return { end: -1, resume: line };
    if (lf === line || bytes[lf - 1] !== CR) throw new HeadRefused(400, "A line ends with LF alone");
    if (lf === line + 1) return { end: lf + 1, resume: line };
    line = lf + 1;
  }
}

/** Parses the head in `bytes` from `start` to `end`, the position behind its empty line. Throws HeadRefused. */
export function parseHead(bytes: Uint8Array, start: number, end: number): RequestHead {
  // One string for the whole head; names and values are slices of it at the same positions.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
  const lineEnd = text.indexOf("\r\n");
  const { method, target } = parseRequestLine(text, lineEnd);
  const headers = parseHeaders(bytes, text, start, lineEnd + 2, end - start - 2);
  if (!headers.has("host")) throw new HeadRefused(400, "The host header is missing");
  const expect = headers.get("expect");
  if (expect !== undefined && expect.toLowerCase() !== "100-continue") {
    throw new HeadRefused(417, "The only expectation supported is 100-continue");
  }
  const mark = target.indexOf("?");
  return {
    method,
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? "" : target.slice(mark + 1),
    headers,
    framing: parseFraming(headers),
    wantsClose: hasCloseToken(headers.get("connection")),
    expectsContinue: expect !== undefined,
  };
}

function parseRequestLine(
  text: string,
  lineEnd: number,
): { readonly method: string; readonly target: string } {
  const first = text.indexOf(" ");
  const second = text.indexOf(" ", first + 1);
  if (first <= 0 || second < 0 || second >= lineEnd) {
    throw new HeadRefused(400, "The request line is malformed");
  }
  const method = text.slice(0, first);
  for (let at = 0; at < first; at++) {
    if (IS_TOKEN[method.charCodeAt(at)] !== 1) throw new HeadRefused(400, "The method is not a token");
  }
  checkVersion(text.slice(second + 1, lineEnd));
  return { method, target: parseTarget(text.slice(first + 1, second)) };
}

function checkVersion(version: string): void {
  if (version === "HTTP/1.1") return;
  if (/^HTTP\/[0-9]\.[0-9]$/.test(version)) throw new HeadRefused(505, "Only HTTP/1.1 is served");
  throw new HeadRefused(400, "The request line is malformed");
}

/** Origin form as it is; absolute form, which proxies send, without scheme and authority. */
function parseTarget(target: string): string {
  if (!/^[\x21-\x7e]+$/.test(target) || target.includes("#")) {
    throw new HeadRefused(400, "The request target has a character that must be percent-encoded");
  }
  if (target.startsWith("/")) return target;
  const absolute = /^https?:\/\/[^/?]+(?=[/?]|$)(.*)$/i.exec(target);
  if (absolute === null) throw new HeadRefused(400, "The request target must start with /");
  const rest = absolute[1] ?? "";
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** `at` and `until` are positions in `text`; the same positions plus `start` are those in `bytes`. */
function parseHeaders(
  bytes: Uint8Array,
  text: string,
  start: number,
  at: number,
  until: number,
): Map<string, string> {
  const headers = new Map<string, string>();
  let count = 0;
  while (at < until) {
    if (++count > HEADER_COUNT_MAX) throw new HeadRefused(431, `More than ${HEADER_COUNT_MAX} headers`);
    let nameEnd = at;
    while (IS_TOKEN[bytes[start + nameEnd] ?? 0] === 1) nameEnd++;
    if (nameEnd === at || bytes[start + nameEnd] !== COLON) {
      throw new HeadRefused(400, "A header line does not start with a name and a colon");
    }
    let valueStart = nameEnd + 1;
    while (isBlank(bytes[start + valueStart])) valueStart++;
    let lineEnd = valueStart;
    while (IS_VALUE[bytes[start + lineEnd] ?? 0] === 1) lineEnd++;
    if (bytes[start + lineEnd] !== CR || bytes[start + lineEnd + 1] !== LF) {
      throw new HeadRefused(400, "A header value has a control character");
    }
    let valueEnd = lineEnd;
    while (valueEnd > valueStart && isBlank(bytes[start + valueEnd - 1])) valueEnd--;
    addHeader(headers, text.slice(at, nameEnd).toLowerCase(), text.slice(valueStart, valueEnd));
    at = lineEnd + 2;
  }
  return headers;
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function addHeader(headers: Map<string, string>, name: string, value: string): void {
  const before = headers.get(name);
  if (before === undefined) headers.set(name, value);
  else if (SINGLE_HEADERS.has(name)) throw new HeadRefused(400, `The header ${name} comes twice`);
  else headers.set(name, `${before}, ${value}`);
}

function parseFraming(headers: ReadonlyMap<string, string>): BodyFraming {
  const length = headers.get("content-length");
  const encoding = headers.get("transfer-encoding");
  if (encoding !== undefined) {
    if (length !== undefined) throw new HeadRefused(400, "Both content-length and transfer-encoding");
    if (encoding.toLowerCase() !== "chunked") {
      throw new HeadRefused(501, "The only transfer encoding supported is chunked");
    }
    return "chunked";
  }
  if (length === undefined) return 0;
  // 15 digits are a safe integer. Anything else, a list of equal lengths included, is refused.
  if (!/^[0-9]{1,15}$/.test(length)) throw new HeadRefused(400, "The content-length is not a number");
  return Number(length);
}

function hasCloseToken(connection: string | undefined): boolean {
  if (connection === undefined || connection === "keep-alive") return false;
  return connection.split(",").some((token) => token.trim().toLowerCase() === "close");
}
