import type { Disk } from "../base/ports.ts";
import { replaceFile } from "../log/replace_file.ts";

/** That it is there says everything. */
export const LEASE_NOTE_PATH = "raft/leases";

/** The format of the file, for whoever will need more than that. */
export const LEASE_NOTE = new TextEncoder().encode("1\n");

/**
 * Notes durably, before the first promise, that this node makes some. The note stays when leases are turned off, which is
 * when it counts: the life before may have promised something that this one knows nothing of.
 *
 * @returns whether an earlier life may have made promises
 */
export async function noteLeases(disk: Disk, isOn: boolean): Promise<boolean> {
  const wasOn = disk.exists(LEASE_NOTE_PATH);
  if (isOn && !wasOn) await replaceFile(disk, LEASE_NOTE_PATH, LEASE_NOTE);
  // It may have been seen, and not be durable.
  else if (isOn) await disk.syncDirectory("raft");
  return wasOn;
}
