import assert from "node:assert/strict";
import fc from "fast-check";
import { findHeadEnd, HEADER_COUNT_MAX, HeadRefused, parseHead } from "./head_parser.ts";

const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Parses a whole head, as a connection does. */
function parse(text: string) {
  const bytes = bytesOf(text);
  const { end } = findHeadEnd(bytes, 0, bytes.length);
  assert.equal(end, bytes.length, "the head ends where the text ends");
  return parseHead(bytes, 0, end);
}

function refusal(text: string): HeadRefused {
  try {
    parse(text);
  } catch (error) {
    assert(error instanceof HeadRefused, String(error));
    return error;
  }
  throw new Error(`Accepted: ${JSON.stringify(text)}`);
}

Deno.test("parses method, path, query, headers and framing", () => {
  const head = parse(
    "POST /v1/x?timeout_ms=5&a HTTP/1.1\r\nHost: h\r\nContent-Length:  12 \r\nX-A:\t b c\t\r\nx-a: d\r\nEmpty:\r\n\r\n",
  );
  assert.equal(head.method, "POST");
  assert.equal(head.path, "/v1/x");
  assert.equal(head.query, "timeout_ms=5&a");
  assert.deepEqual(
    [...head.headers],
    [["host", "h"], ["content-length", "12"], ["x-a", "b c, d"], ["empty", ""]],
  );
  assert.equal(head.framing, 12);
  assert.equal(head.wantsClose, false);
  assert.equal(head.expectsContinue, false);
});

Deno.test("reads connection, expect, chunked, and bytes beyond ASCII in values", () => {
  const head = parse(
    "PUT / HTTP/1.1\r\nhost: h\r\nConnection: Keep-Alive, Close\r\nExpect: 100-Continue\r\nTransfer-Encoding: Chunked\r\n" +
      "x: \xc3\xa9\r\n\r\n",
  );
  assert.equal(head.framing, "chunked");
  assert.equal(head.wantsClose, true);
  assert.equal(head.expectsContinue, true);
  assert.equal(head.headers.get("x"), "\xc3\xa9");
});

Deno.test("takes absolute form without scheme and authority", () => {
  assert.equal(parse("GET http://h:1/a/b?c HTTP/1.1\r\nhost: h\r\n\r\n").path, "/a/b");
  const bare = parse("GET http://h?c HTTP/1.1\r\nhost: h\r\n\r\n");
  assert.deepEqual([bare.path, bare.query], ["/", "c"]);
});

const MALFORMED: readonly (readonly [string, number, string])[] = [
  ["empty request line", 400, "\r\n"],
  ["no target", 400, "GET HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["no version", 400, "GET /\r\nhost: h\r\n\r\n"],
  ["two spaces", 400, "GET  / HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["space after version", 400, "GET / HTTP/1.1 \r\nhost: h\r\n\r\n"],
  ["leading space", 400, " GET / HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["method not a token", 400, "GE(T / HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["tab in request line", 400, "GET\t/ HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["control character in target", 400, "GET /\x01 HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["raw UTF-8 in target", 400, "GET /\xc3\xa9 HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["fragment in target", 400, "GET /#a HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["authority form", 400, "CONNECT h:1 HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["asterisk form", 400, "OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["other scheme", 400, "GET ftp://h/ HTTP/1.1\r\nhost: h\r\n\r\n"],
  ["HTTP/1.0", 505, "GET / HTTP/1.0\r\nhost: h\r\n\r\n"],
  ["HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\n"],
  ["lower-case version", 400, "GET / http/1.1\r\nhost: h\r\n\r\n"],
  ["version with more digits", 400, "GET / HTTP/1.10\r\nhost: h\r\n\r\n"],
  ["no host", 400, "GET / HTTP/1.1\r\n\r\n"],
  ["two hosts", 400, "GET / HTTP/1.1\r\nhost: h\r\nHOST: h\r\n\r\n"],
  ["bare LF after request line", 400, "GET / HTTP/1.1\nhost: h\r\n\r\n"],
  ["bare LF after header", 400, "GET / HTTP/1.1\r\nhost: h\n\r\n"],
  ["bare LF as empty line", 400, "GET / HTTP/1.1\r\nhost: h\r\n\n"],
  ["bare CR in value", 400, "GET / HTTP/1.1\r\nhost: h\rx: y\r\n\r\n"],
  ["CR CR LF", 400, "GET / HTTP/1.1\r\nhost: h\r\r\n\r\n"],
  ["NUL in value", 400, "GET / HTTP/1.1\r\nhost: h\0\r\n\r\n"],
  ["DEL in value", 400, "GET / HTTP/1.1\r\nhost: h\x7f\r\n\r\n"],
  ["space before colon", 400, "GET / HTTP/1.1\r\nhost : h\r\n\r\n"],
  ["no colon", 400, "GET / HTTP/1.1\r\nhost h\r\n\r\n"],
  ["empty name", 400, "GET / HTTP/1.1\r\nhost: h\r\n: x\r\n\r\n"],
  ["name not a token", 400, "GET / HTTP/1.1\r\nhost: h\r\nx[]: y\r\n\r\n"],
  ["name beyond ASCII", 400, "GET / HTTP/1.1\r\nhost: h\r\n\xe9: y\r\n\r\n"],
  ["folded line", 400, "GET / HTTP/1.1\r\nhost: h\r\nx: a\r\n b\r\n\r\n"],
  ["folded with tab", 400, "GET / HTTP/1.1\r\nhost: h\r\nx: a\r\n\tb\r\n\r\n"],
  ["first header folded", 400, "GET / HTTP/1.1\r\n host: h\r\n\r\n"],
  [
    "length and chunked",
    400,
    "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
  ],
  ["two lengths", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n"],
  ["two equal lengths", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n"],
  ["list of lengths", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5, 5\r\n\r\n"],
  ["signed length", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +5\r\n\r\n"],
  ["negative length", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -5\r\n\r\n"],
  ["hex length", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0x5\r\n\r\n"],
  ["empty length", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length:\r\n\r\n"],
  ["length beyond 2^53", 400, "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9007199254740993\r\n\r\n"],
  ["gzip encoding", 501, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip, chunked\r\n\r\n"],
  [
    "chunked twice",
    400,
    "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
  ],
  ["identity encoding", 501, "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: identity\r\n\r\n"],
  ["quoted chunked", 501, 'POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: "chunked"\r\n\r\n'],
  ["two authorizations", 400, "GET / HTTP/1.1\r\nhost: h\r\nauthorization: a\r\nauthorization: b\r\n\r\n"],
  ["unknown expectation", 417, "GET / HTTP/1.1\r\nhost: h\r\nexpect: 200-ok\r\n\r\n"],
  ["too many headers", 431, `GET / HTTP/1.1\r\nhost: h\r\n${"x: y\r\n".repeat(HEADER_COUNT_MAX)}\r\n`],
];

for (const [name, status, text] of MALFORMED) {
  Deno.test(`refuses: ${name}`, () => {
    assert.equal(refusal(text).status, status);
  });
}

Deno.test("finds the end of a head in any split, looking at each line once", () => {
  const text = "GET / HTTP/1.1\r\nhost: h\r\nx: y\r\n\r\nrest";
  const bytes = bytesOf(text);
  let from = 0;
  for (let length = 0; length <= bytes.length; length++) {
    const { end, resume } = findHeadEnd(bytes, from, length);
    assert.equal(end, length >= text.length - 4 ? text.length - 4 : -1, `after ${length} bytes`);
    assert(resume >= from && resume <= length);
    from = resume;
  }
});

Deno.test("random bytes are refused or parsed, never anything else", () => {
  const alphabet = fc.constantFrom(..."GET / HTTP/1.1\r\n: \t,hostcontent-length0123x\0\xff");
  fc.assert(fc.property(fc.string({ unit: alphabet, maxLength: 80 }), (noise) => {
    const bytes = bytesOf(`GET / HTTP/1.1\r\nhost: h\r\n${noise}\r\n\r\n`);
    try {
      const { end } = findHeadEnd(bytes, 0, bytes.length);
      const head = parseHead(bytes, 0, end);
      for (const value of head.headers.values()) {
        for (const byte of bytesOf(value)) assert(byte === 0x09 || (byte >= 0x20 && byte !== 0x7f));
      }
    } catch (error) {
      assert(error instanceof HeadRefused, String(error));
    }
  }));
});
