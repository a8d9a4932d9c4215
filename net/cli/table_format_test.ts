import assert from "node:assert/strict";
import fc from "fast-check";
import type { SqlValue } from "../client/mod.ts";
import { displayWidth, formatBytes, formatRows, type TableOptions, visible } from "./table_format.ts";

const NAMES = ["id", "name", "data"];
const ROWS: SqlValue[][] = [[1, "a", null], [10_000_000_000_000_000n, "日本", new Uint8Array([0, 255])], [
  null,
  'x,"y"\n',
  1.5,
]];

function format(mode: TableOptions["mode"], options: Partial<TableOptions> = {}, rows = ROWS): string {
  return formatRows(NAMES, rows, { mode, headers: true, columns: undefined, ...options });
}

Deno.test("formatRows() table aligns numbers to the right and shows NULL, blobs and control characters", () => {
  const expected = [
    "               id  name    data",
    "-----------------  ------  -------",
    "                1  a       NULL",
    "10000000000000000  日本    x'00ff'",
    '             NULL  x,"y"␊  1.5',
    "",
  ];
  assert.equal(format("table"), expected.join("\n"));
});

Deno.test("formatRows() table fits the terminal and bounds cells", () => {
  const rows: SqlValue[][] = [[1, "word ".repeat(100), "y".repeat(30)]];
  for (const columns of [20, 40, 80, 120]) {
    const lines = format("table", { columns }, rows).split("\n");
    for (const line of lines) {
      assert.ok(displayWidth(line) <= Math.max(columns, 22), `${columns}: ${displayWidth(line)}`);
    }
    assert.match(lines[2] ?? "", /…/);
  }
  assert.match(format("table", { columns: 80 }, rows), /y{30}/, "narrow columns keep their width");
  assert.ok(
    format("table", {}, [[1, "x".repeat(10_000), new Uint8Array(10_000)]]).split("\n").every((line) =>
      line.length < 450
    ),
  );
});

Deno.test("formatRows() writes the other modes", () => {
  assert.equal(
    format("list"),
    "id|name|data\n1|a|NULL\n10000000000000000|日本|x'00ff'\nNULL|x,\"y\"\n|1.5\n",
  );
  assert.equal(
    format("csv", { headers: false }),
    '1,a,\n10000000000000000,日本,x\'00ff\'\n,"x,""y""\n",1.5\n',
  );
  assert.equal(format("line", {}, [[1, "a\tb", null]]), "  id = 1\nname = a␉b\ndata = NULL\n");
  assert.deepEqual(JSON.parse(format("json")), [
    { id: 1, name: "a", data: null },
    { id: { int64: "10000000000000000" }, name: "日本", data: { base64: "AP8=" } },
    { id: null, name: 'x,"y"\n', data: 1.5 },
  ]);
  assert.equal(format("json", {}, []), "[]\n");
});

Deno.test("visible() leaves nothing that moves the cursor", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 20 }), (text) => {
    assert.doesNotMatch(visible(text), /\p{Cc}/u);
  }));
  assert.equal(visible("\u001b[31m"), "␛[31m");
});

Deno.test("formatBytes() picks a unit", () => {
  assert.deepEqual([0, 1_023, 1_024, 1_572_864, 2 ** 41].map(formatBytes), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 MiB",
    "2.0 TiB",
  ]);
});
