import { DenoDisk } from "../../core/host/deno_disk.ts";
import { SimDisk } from "../support/sim_disk.ts";
import { diskContract, fullDiskContract } from "./disk_contract.ts";

diskContract("DenoDisk", () => {
  const root = Deno.makeTempDirSync({ prefix: "walraft_disk_" });
  return { disk: new DenoDisk(root), close: () => Deno.removeSync(root, { recursive: true }) };
});

diskContract("SimDisk", () => ({ disk: new SimDisk({ seed: 1 }), close: () => {} }));

// Linux has a device that is always full; elsewhere only the simulated one is tried.
if (Deno.build.os === "linux") {
  fullDiskContract("DenoDisk", () => ({ disk: new DenoDisk("/dev"), path: "full" }));
}

fullDiskContract("SimDisk", () => ({ disk: new SimDisk({ seed: 1, capacityBytes: 100 }), path: "a" }));
