/** Entry bodies, checkpoint records and page checksums: what is on a disk today can be read for ever. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { copyPages } from "../../core/pages/checkpoint_file.ts";
import { decodeCheckpointMeta, encodeCheckpointMeta } from "../../core/pages/checkpoint_meta.ts";
import {
  decodeEntryBody,
  encodeActivate,
  encodeCreate,
  encodeDrop,
  encodePages,
} from "../../core/pages/entry_body.ts";
import { decodeSumsHeader, PageSumReader } from "../../core/pages/page_sums.ts";
import { SimDisk } from "../support/sim_disk.ts";

const FOLDER = new URL("./v1/", import.meta.url);
const WALL_MS = 1_795_219_200_123;
const META = { databaseId: 2, pageSize: 4_096, pageCount: 17, index: 4_711 };
/** Version 2 says more. */
const META_2 = { ...META, hasSums: true, copiedThrough: 4_800 };

const frame = (pageNumber: number) => ({ pageNumber, bytes: new Uint8Array(512).fill(pageNumber) });
const pages = (entryBytesMax: number) =>
  encodePages([frame(1), frame(7), frame(9)], {
    wallMs: WALL_MS,
    databaseId: 2,
    pageSize: 512,
    pageCount: 9,
    entryBytesMax,
  });

const BODIES: Readonly<Record<string, Uint8Array>> = {
  create: encodeCreate({ wallMs: WALL_MS, name: "main", staged: false, pageSize: 4_096 }),
  create_staged: encodeCreate({ wallMs: WALL_MS, name: "main", staged: true, pageSize: 512 }),
  drop: encodeDrop({ wallMs: WALL_MS, databaseId: 2 }),
  activate: encodeActivate({ wallMs: WALL_MS, databaseId: 2 ** 40 }),
  pages: pages(1_000_000)[0]!,
  pages_first_part: pages(1_200)[0]!,
  pages_last_part: pages(1_200)[1]!,
};

/** One line for each: name, then its bytes. */
function golden(): Map<string, Uint8Array> {
  const text = Deno.readTextFileSync(new URL("pages_bodies.hex", FOLDER));
  return new Map(
    text.trim().split("\n").map((line) => {
      const [name = "", hex = ""] = line.split(" ");
      return [name, Uint8Array.fromHex(hex)];
    }),
  );
}

/** Computed by another program: 512 bytes of 1, of 0 and of 3. */
const CHECKSUMS = [0x83e5_c6ff, 0xb2aa_7578, 0xe17a_a1f1] as const;

/** Pages 1 and 3 hold their number in every byte, page 2 is void. */
async function copyThreePages(): Promise<SimDisk> {
  const disk = new SimDisk({ seed: 1 });
  disk.makeDirectory("db");
  await copyPages(disk, { readAt: (position, into) => void into.fill(position) }, {
    file: "db/main.db",
    pageSize: 512,
    pageCount: 3,
    keepPageCount: 0,
    pageNumbers: [1, 3],
    positions: [1, 3],
    sums: { databaseId: 2, index: 9, checksums: [CHECKSUMS[0], CHECKSUMS[2]], record: undefined },
  });
  return disk;
}

if (Deno.env.get("UPDATE_FORMATS") === "1") {
  const lines = Object.entries(BODIES).map(([name, bytes]) => `${name} ${bytes.toHex()}\n`);
  Deno.writeTextFileSync(new URL("pages_bodies.hex", FOLDER), lines.join(""));
  Deno.writeFileSync(new URL("../v2/checkpoint.meta", FOLDER), encodeCheckpointMeta(META_2));
  Deno.writeFileSync(new URL("pages.sum", FOLDER), (await copyThreePages()).contentOf("db/main.sum"));
}

Deno.test("entry bodies of version 1 are written as ever", () => {
  const kept = golden();
  deepStrictEqual([...kept.keys()], Object.keys(BODIES));
  for (const [name, bytes] of Object.entries(BODIES)) deepStrictEqual(bytes, kept.get(name), name);
});

Deno.test("entry bodies of version 1 can be read", () => {
  const kept = golden();
  const read = (name: string) => decodeEntryBody(kept.get(name)!);
  deepStrictEqual(read("create"), {
    kind: "create",
    wallMs: WALL_MS,
    name: "main",
    staged: false,
    pageSize: 4_096,
  });
  deepStrictEqual(read("activate"), { kind: "activate", wallMs: WALL_MS, databaseId: 2 ** 40 });
  const body = read("pages");
  strictEqual(body.kind, "pages");
  if (body.kind !== "pages") return;
  deepStrictEqual([[...body.pageNumbers], body.pageCount, body.first, body.last], [[1, 7, 9], 9, true, true]);
  const bytes = kept.get("pages")!;
  deepStrictEqual(bytes.subarray(body.offsets[1]!, body.offsets[1]! + 512), frame(7).bytes);
});

Deno.test("checkpoint records of version 1 can be read: no checksums lie beside their file", () => {
  const kept = Deno.readFileSync(new URL("checkpoint.meta", FOLDER));
  deepStrictEqual(decodeCheckpointMeta(kept), { ...META, hasSums: false, copiedThrough: META.index });
});

Deno.test("checkpoint records of version 2 are written as ever and can be read", () => {
  const kept = Deno.readFileSync(new URL("../v2/checkpoint.meta", FOLDER));
  deepStrictEqual(decodeCheckpointMeta(kept), META_2);
  deepStrictEqual(encodeCheckpointMeta(META_2), kept);
});

Deno.test("page checksums of version 1 are written as ever and can be read", async () => {
  const kept = Deno.readFileSync(new URL("pages.sum", FOLDER));
  const disk = await copyThreePages();
  deepStrictEqual(disk.contentOf("db/main.sum"), kept);
  strictEqual(decodeSumsHeader(kept), 512);
  const sums = new PageSumReader(disk, "main");
  deepStrictEqual([1, 2, 3, 4].map((pageNumber) => sums.get(pageNumber)), [...CHECKSUMS, undefined]);
});
