/**
 * A file of the kernel's machine that comes piece by piece, each asked for when the one before
 * has come, so that neither side is flooded.
 */
import { make } from "./dom.mjs";

/** Bytes that are held as they came before they become part of a blob, which may lie on disk. */
const HELD = 16 * 2 ** 20;

/** The pieces of one download, in order; a piece that was not asked for is not taken. */
export function createDownload() {
  let whole = new Blob([], { type: "application/octet-stream" });
  /** @type {BlobPart[]} */
  let pieces = [];
  let held = 0;
  let size = 0;
  function fold() {
    whole = new Blob([whole, ...pieces], { type: whole.type });
    pieces = [];
    held = 0;
  }
  return {
    get size() {
      return size;
    },
    /** @param {number} start @param {ArrayBufferView<ArrayBuffer>} bytes @returns {boolean} whether this was the piece that is due */
    take(start, bytes) {
      if (start !== size || bytes.byteLength === 0) return false;
      pieces.push(bytes);
      size += bytes.byteLength;
      held += bytes.byteLength;
      if (held >= HELD) fold();
      return true;
    },
    blob() {
      fold();
      return whole;
    },
  };
}

/** Let the browser save a blob as a file. @param {Blob} blob @param {string} name */
export function saveAs(blob, name) {
  const address = URL.createObjectURL(blob);
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
