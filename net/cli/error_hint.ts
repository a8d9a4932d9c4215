/** Points at the part of a statement that an error of SQLite speaks of. Pure. */
import { displayWidth, visible } from "./table_format.ts";

/** Characters of the line that are shown around the place. */
const LINE_WIDTH_MAX = 100;

/** Messages of SQLite that name a piece of the statement. */
const NAMED = [
  /near "([\s\S]+?)": syntax error/,
  /unrecognized token: "([\s\S]+?)"/,
  /no such (?:column|table|function|module|index|view|trigger|collation sequence): (?:[\w$]+\.)?([\w$]+)/,
  /ambiguous column name: (?:[\w$]+\.)?([\w$]+)/,
  /has no column named ([\w$]+)/,
  /(?:table|index|view|trigger) "?([\w$]+)"? already exists/,
  /wrong number of arguments to function ([\w$]+)/,
];

/**
 * Two lines: the line of the statement and a caret below the place. The node may know the place; else it is where the
 * piece stands that the message names. Undefined when there is none, or several: a caret at the wrong one is worse
 * than none.
 *
 * @param offsetBytes place in the UTF-8 text of the statement
 */
export function caretHint(sql: string, message: string, offsetBytes?: number): string | undefined {
  if (offsetBytes !== undefined) return drawCaret(sql, toCharacters(sql, offsetBytes));
  if (/incomplete input/.test(message)) return drawCaret(sql, sql.trimEnd().length);
  for (const pattern of NAMED) {
    const piece = pattern.exec(message)?.[1];
    if (piece === undefined) continue;
    const places = findPieces(sql, piece);
    return places.length === 1 ? drawCaret(sql, places[0] as number) : undefined;
  }
  return undefined;
}

function toCharacters(sql: string, offsetBytes: number): number {
  const bytes = new TextEncoder().encode(sql).subarray(0, offsetBytes);
  return new TextDecoder().decode(bytes).length;
}

/** Where the piece stands as a whole word. */
function findPieces(sql: string, piece: string): number[] {
  const places: number[] = [];
  const lower = sql.toLowerCase();
  const wanted = piece.toLowerCase();
  const isWordEnd = (at: number) => !/[\w$]/.test(sql[at] ?? " ");
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + 1)) {
    const startsWord = !/^[\w$]/.test(piece) || isWordEnd(at - 1);
    const endsWord = !/[\w$]$/.test(piece) || isWordEnd(at + piece.length);
    if (startsWord && endsWord) places.push(at);
  }
  return places;
}

function drawCaret(sql: string, at: number): string {
  const lineStart = sql.lastIndexOf("\n", at - 1) + 1;
  const lineEnd = sql.indexOf("\n", at);
  const line = sql.slice(lineStart, lineEnd < 0 ? sql.length : lineEnd);
  const start = Math.max(0, at - lineStart - LINE_WIDTH_MAX / 2);
  const before = visible(line.slice(start, at - lineStart));
  const shown = visible(line.slice(start, start + LINE_WIDTH_MAX));
  const lead = start > 0 ? "…" : "";
  return `  ${lead}${shown}\n  ${" ".repeat(displayWidth(lead + before))}^`;
}
