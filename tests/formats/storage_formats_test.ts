/** Files of the data folder that stand for what is gone from the log, byte by byte. */
import { deepStrictEqual } from "node:assert/strict";
import { LEASE_NOTE } from "../../core/node/lease_note.ts";
import { decodeManifest, encodeManifest, type Manifest } from "../../core/node/snapshot_files.ts";
import { type Catalog, decodeCatalog, encodeCatalog } from "../../core/pages/catalog.ts";

const CATALOG: Catalog = {
  index: 4711,
  databases: [
    { id: 2, name: "main", pageSize: 4096, visibleFrom: 2 },
    { id: 9, name: "upload", pageSize: 512, visibleFrom: undefined },
  ],
};

const MANIFEST: Manifest = {
  metadata: { index: 4711, term: 3, hash: 0xfedc_ba98, membership: Uint8Array.of(1, 2, 255) },
  catalog: CATALOG,
  staged: [
    { databaseId: 2, name: "main", pageSize: 4096, pageCount: 17, index: 4700, hasSums: true },
  ],
  discardLog: true,
};

const golden = (name: string): Uint8Array => Deno.readFileSync(new URL(`v1/${name}`, import.meta.url));

Deno.test("catalogs of version 1 are written as ever and can be read", () => {
  deepStrictEqual(
    new TextDecoder().decode(encodeCatalog(CATALOG)),
    new TextDecoder().decode(golden("catalog")),
  );
  deepStrictEqual(decodeCatalog(golden("catalog")), CATALOG);
});

Deno.test("manifests of snapshots of version 1 are written as ever and can be read", () => {
  const kept = golden("snapshot.manifest");
  deepStrictEqual(new TextDecoder().decode(encodeManifest(MANIFEST)), new TextDecoder().decode(kept));
  const { catalog, ...rest } = decodeManifest(kept);
  const { catalog: expected, ...others } = MANIFEST;
  deepStrictEqual(rest, others);
  // JSON leaves out what is undefined.
  deepStrictEqual(JSON.stringify(catalog), JSON.stringify(expected));
});

Deno.test("the note on leases of version 1 is written as ever", () => {
  deepStrictEqual(LEASE_NOTE, golden("leases"));
});
