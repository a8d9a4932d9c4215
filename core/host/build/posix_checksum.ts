/**
 * The checksum of POSIX `cksum`: CRC-32 with polynomial 0x04C11DB7, most significant bit first, over the bytes and
 * then over the length in as few little-endian bytes as hold it; complemented.
 *
 * @returns unsigned 32-bit number, the first figure that `cksum` prints
 */
export function posixChecksum(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) crc = step(crc, byte);
  for (let length = bytes.length; length > 0; length = Math.floor(length / 256)) {
    crc = step(crc, length % 256);
  }
  return ~crc >>> 0;
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

function step(crc: number, byte: number): number {
  return (crc << 8) ^ (TABLE[(crc >>> 24) ^ byte] ?? 0);
}
