/**
 * The images that this page holds, decoded: the present one, its neighbours and the last few.
 *
 * @typedef {object} Frame  one image as the kernel describes it
 * @property {string} key identity of the image
 * @property {string} token changes with the image's bytes
 * @property {number} walk number of the walk that `index` belongs to
 * @property {number} index
 * @property {string} name
 * @property {number} width image pixels
 * @property {number} height image pixels
 * @property {string} revision of the label file, "" if there is none
 * @property {boolean} editable
 * @property {string} problem what is wrong with the image or its labels, for people
 * @property {import("./box_document.mjs").Row[]} boxes
 * @property {import("./box_document.mjs").ProposalRow[]} proposals
 */

/** Decoded pixels to hold on to: four bytes each, so at most some 400 MB. */
const PIXEL_BUDGET = 100e6;
const MAX_FRAMES = 12;

/** @param {(blob: Blob) => Promise<ImageBitmap>} decode */
export function createFrames(decode) {
  /**
   * By key, oldest first.
   * @type {Map<string, {frame: Frame, bitmap: ImageBitmap|null, failed: boolean, decoding: Promise<ImageBitmap>|null}>}
   */
  const held = new Map();

  function release(entry) {
    entry?.bitmap?.close?.();
  }

  function shrink(keepKey) {
    const cost = () => [...held.values()].reduce((sum, e) => sum + (e.bitmap ? e.bitmap.width * e.bitmap.height : 0), 0);
    for (const [key, entry] of held) {
      if (held.size <= 3 || (held.size <= MAX_FRAMES && cost() <= PIXEL_BUDGET)) return;
      if (key === keepKey) continue;
      held.delete(key);
      release(entry);
    }
  }

  return {
    /**
     * Note a frame at once, and wait until its bytes are decoded if they came along.
     * @param {Frame} frame @param {DataView|undefined} bytes
     * @param {() => string|null} shownKey key of the image that must not be dropped
     */
    async put(frame, bytes, shownKey) {
      const before = held.get(frame.key);
      const isSame = before?.frame.token === frame.token;
      const entry = { bitmap: null, failed: false, decoding: null, ...(isSame ? before : {}), frame };
      if (!isSame) release(before);
      held.delete(frame.key);
      held.set(frame.key, entry);
      if (bytes && !entry.bitmap && !entry.decoding) entry.decoding = decode(new Blob([bytes]));
      if (entry.decoding && !entry.bitmap) {
        try {
          entry.bitmap = await entry.decoding;
          entry.failed = false;
        } catch (error) {
          console.warn(`workbench: this browser cannot decode ${frame.name}`, error);
          entry.failed = true;
        }
        entry.decoding = null;
      }
      shrink(shownKey());
      return entry;
    },

    /** @param {string} key */
    get(key) {
      return held.get(key) ?? null;
    },

    /** The frame at a place of a walk, if it is here. @param {number} walk @param {number} index */
    at(walk, index) {
      for (const entry of held.values()) {
        if (entry.frame.walk === walk && entry.frame.index === index) return entry;
      }
      return null;
    },

    clear() {
      for (const entry of held.values()) release(entry);
      held.clear();
    },
  };
}
