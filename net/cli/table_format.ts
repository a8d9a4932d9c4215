/** Rows as text. Pure. */
import type { SqlValue } from "../client/mod.ts";
import type { OutputMode } from "./arguments.ts";

export interface TableOptions {
  readonly mode: OutputMode;
  /** Print the names of the columns (modes table, csv and list). */
  readonly headers: boolean;
  /** Width of the terminal; undefined where the text goes to a file. */
  readonly columns: number | undefined;
}

/** A cell of a table is cut here when no terminal says how much room there is. */
const CELL_WIDTH_MAX = 200;
/** No column of a table gets narrower than this to make room for others. */
const CELL_WIDTH_MIN = 8;

const segmenter = new Intl.Segmenter();
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;
const CONTROL = /\p{Cc}/gu;
const PLAIN = /^[\u0020-\u007e]*$/;

/** Columns a text takes on a terminal. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** Control characters as visible signs: data must not move the cursor or colour the terminal. */
export function visible(text: string): string {
  return text.replace(CONTROL, (control) => {
    const code = control.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? "\u2421" : "\ufffd";
  });
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A value as SQL would write it, but for the quotes of text. */
export function formatValue(value: SqlValue): string {
  if (value === null) return "NULL";
  if (value instanceof Uint8Array) return `x'${toHex(value)}'`;
  return String(value);
}

/** The start of a value in one line; long blobs are not turned into text as a whole. */
function formatCell(value: SqlValue): string {
  if (value instanceof Uint8Array && value.length > CELL_WIDTH_MAX) {
    return `x'${toHex(value.subarray(0, CELL_WIDTH_MAX))}…`;
  }
  if (typeof value === "string" && value.length > 4 * CELL_WIDTH_MAX) {
    return visible(value.slice(0, 4 * CELL_WIDTH_MAX)) + "…";
  }
  return visible(formatValue(value));
}

function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let result = "";
  let used = 0;
  for (const { segment } of segmenter.segment(text)) {
    const segmentWidth = displayWidth(segment);
    if (used + segmentWidth > width - 1) break;
    result += segment;
    used += segmentWidth;
  }
  return `${result}…`;
}

function pad(text: string, width: number, right: boolean): string {
  const space = " ".repeat(Math.max(0, width - displayWidth(text)));
  return right ? space + text : text + space;
}

/** Takes width from the widest columns until all fit. */
function fitWidths(widths: readonly number[], columns: number | undefined): number[] {
  const fitted = widths.map((width) => Math.min(width, CELL_WIDTH_MAX));
  if (columns === undefined) return fitted;
  const room = Math.max(columns - 2 * (fitted.length - 1), fitted.length);
  for (let excess = sum(fitted) - room; excess > 0; excess = sum(fitted) - room) {
    const widest = Math.max(...fitted);
    const next = Math.max(...fitted.filter((width) => width < widest), CELL_WIDTH_MIN);
    const count = fitted.filter((width) => width === widest).length;
    if (widest <= CELL_WIDTH_MIN) break;
    const step = Math.min(widest - next, Math.max(1, Math.floor(excess / count)));
    for (let i = 0; i < fitted.length; i++) {
      if (fitted[i] === widest) fitted[i] = widest - step;
    }
  }
  return fitted;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

/** Texts in aligned columns; those in `right` are aligned to the right. */
export function alignTable(
  header: readonly string[] | undefined,
  rows: readonly (readonly string[])[],
  right: readonly boolean[],
  columns: number | undefined,
): string {
  const all = header === undefined ? rows : [header, ...rows];
  const widths = fitWidths(
    right.map((_, i) => Math.max(...all.map((row) => displayWidth(row[i] ?? "")), 1)),
    columns,
  );
  const line = (row: readonly string[]) =>
    widths.map((width, i) => pad(cut(row[i] ?? "", width), width, right[i] ?? false)).join("  ").trimEnd() +
    "\n";
  const head = header === undefined ? "" : line(header) + line(widths.map((width) => "-".repeat(width)));
  return head + rows.map(line).join("");
}

function formatTable(
  names: readonly string[],
  rows: readonly (readonly SqlValue[])[],
  options: TableOptions,
): string {
  const right = names.map((_, i) =>
    rows.some((row) => row[i] !== null) &&
    rows.every((row) => row[i] === null || typeof row[i] === "number" || typeof row[i] === "bigint")
  );
  const cells = rows.map((row) => row.map(formatCell));
  return alignTable(options.headers ? names.map(visible) : undefined, cells, right, options.columns);
}

/** RFC 4180 with line feeds; NULL is an empty field, empty text is `""`. */
function formatCsv(
  names: readonly string[],
  rows: readonly (readonly SqlValue[])[],
  headers: boolean,
): string {
  const field = (value: SqlValue): string => {
    if (value === null) return "";
    const text = formatValue(value);
    return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = headers ? [names, ...rows] : rows;
  return lines.map((row) => row.map(field).join(",") + "\n").join("");
}

/** An array of objects, one a line, with values in the JSON form of the HTTP API. */
function formatJson(names: readonly string[], rows: readonly (readonly SqlValue[])[]): string {
  const cell = (value: SqlValue): string => {
    if (typeof value === "bigint") return `{"int64":"${value}"}`;
    if (value instanceof Uint8Array) return `{"base64":"${value.toBase64()}"}`;
    if (typeof value === "number" && !Number.isFinite(value)) return `{"real":"${value}"}`;
    return JSON.stringify(value);
  };
  const objects = rows.map((row) =>
    `{${row.map((value, i) => `${JSON.stringify(names[i])}:${cell(value)}`).join(",")}}`
  );
  return `[${objects.join(",\n")}]\n`;
}

function formatLines(names: readonly string[], rows: readonly (readonly SqlValue[])[]): string {
  const width = Math.max(0, ...names.map(displayWidth));
  return rows.map((row) =>
    row.map((value, i) => `${pad(names[i] ?? "", width, true)} = ${visible(formatValue(value))}\n`).join("")
  ).join("\n");
}

/** A result in the form a user chose. */
export function formatRows(
  names: readonly string[],
  rows: readonly (readonly SqlValue[])[],
  options: TableOptions,
): string {
  switch (options.mode) {
    case "table":
      return formatTable(names, rows, options);
    case "csv":
      return formatCsv(names, rows, options.headers);
    case "json":
      return formatJson(names, rows);
    case "line":
      return formatLines(names, rows);
    case "list": {
      const lines = options.headers ? [names, ...rows] : rows;
      return lines.map((row) => row.map(formatValue).join("|") + "\n").join("");
    }
  }
}

/** `1.5 MiB`; bytes below 1 KiB as they are. */
export function formatBytes(bytes: number): string {
  const units = ["KiB", "MiB", "GiB", "TiB"];
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}
