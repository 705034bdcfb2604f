/**
 * The images that this page holds: the present one, its neighbours and the last few.
 *
 * Each is decoded ahead at the size of the stage, so that it is painted in the frame after
 * the key press and ten of them take little memory. All of its pixels, which only zooming
 * needs, are decoded of the one image that is shown.
 */
/** @import { Frame, Size } from "../../types.d.ts" */

/**
 * @typedef {object} Entry
 * @property {Frame} frame
 * @property {Blob|null} blob the encoded image
 * @property {ImageBitmap|null} bitmap the whole image, at the size of the stage or its own
 * @property {ImageBitmap|null} full all pixels that were sent; may be `bitmap`
 * @property {boolean} isReduced whether `bitmap` has the size of the stage
 * @property {boolean} failed this browser cannot decode it
 * @property {Promise<ImageBitmap>|null} decoding
 * @property {Promise<ImageBitmap>|null} sharpening
 */

/** Decoded pixels to hold on to: four bytes each, so at most some 400 MB. */
const PIXEL_BUDGET = 100e6;
const MAX_FRAMES = 12;
/** Images with up to this many times the pixels of the stage are decoded once, in full. */
const WORTH_REDUCING = 1.5;

/**
 * Size at which an image fills the stage, or null where its own is hardly larger.
 * @param {Size} image @param {Size} stage device pixels
 */
export function stageSize(image, stage) {
  const scale = Math.min(stage.width / image.width, stage.height / image.height);
  if (!(scale > 0) || scale ** 2 * WORTH_REDUCING > 1) return null;
  return {
    width: Math.max(Math.round(image.width * scale), 1),
    height: Math.max(Math.round(image.height * scale), 1),
  };
}

/**
 * @param {(blob: Blob, size: Size|null) => Promise<ImageBitmap>} decode
 *   to this size, or all pixels
 */
export function createFrames(decode) {
  /** By key, oldest first. @type {Map<string, Entry>} */
  const held = new Map();

  /** @param {Entry|undefined} entry */
  function release(entry) {
    blur(entry);
    entry?.bitmap?.close?.();
  }

  /** Let go of the pixels that only zooming needs. @param {Entry|undefined} entry */
  function blur(entry) {
    if (entry?.full && entry.full !== entry.bitmap) entry.full.close?.();
    if (entry) entry.full = entry.full === entry.bitmap ? entry.full : null;
  }

  /** @param {string|null} keepKey */
  function shrink(keepKey) {
    /** @param {ImageBitmap|null} bitmap */
    const pixels = (bitmap) => (bitmap ? bitmap.width * bitmap.height : 0);
    const cost = () => [...held.values()].reduce((sum, entry) => sum + pixels(entry.bitmap), 0);
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
     * @param {Frame} frame @param {DataView<ArrayBuffer>|undefined} bytes
     * @param {Size} stage device pixels
     * @param {() => string|null} shownKey key of the image that must not be dropped
     */
    async put(frame, bytes, stage, shownKey) {
      const before = held.get(frame.key);
      const isSame = before?.frame.token === frame.token;
      /** @type {Omit<Entry, "frame">} */
      const fresh = {
        blob: null,
        bitmap: null,
        full: null,
        isReduced: false,
        failed: false,
        decoding: null,
        sharpening: null,
      };
      /** @type {Entry} */
      const entry = { ...fresh, ...(isSame ? before : {}), frame };
      if (!isSame) release(before);
      held.delete(frame.key);
      held.set(frame.key, entry);
      if (bytes && !entry.bitmap && !entry.decoding) {
        const size = stageSize(frame, stage);
        entry.blob = new Blob([bytes]);
        entry.isReduced = size !== null;
        entry.decoding = decode(entry.blob, size);
      }
      if (entry.decoding && !entry.bitmap) {
        try {
          entry.bitmap = await entry.decoding;
          entry.full = entry.isReduced ? null : entry.bitmap;
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

    /**
     * Decode all pixels of an image, and let go of those of every other.
     * @param {string} key @returns {Promise<ImageBitmap|null>} null if it is gone or was sharp before
     */
    async sharpen(key) {
      for (const [other, entry] of held) if (other !== key) blur(entry);
      const entry = held.get(key);
      if (!entry?.bitmap || entry.full || entry.sharpening || !entry.blob) return null;
      entry.sharpening = decode(entry.blob, null);
      try {
        const full = await entry.sharpening;
        const present = held.get(key);
        if (!present || present.bitmap !== entry.bitmap) {
          full.close?.();
          return null;
        }
        return Object.assign(present, { full, sharpening: null }).full;
      } catch (error) {
        // It is shown at the size of the stage, and the status line says so.
        console.warn(
          `workbench: this browser cannot hold all pixels of ${entry.frame.name}`,
          error,
        );
        return Object.assign(held.get(key) ?? entry, { full: entry.bitmap, sharpening: null }).full;
      }
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

    /** Forget all others, to have them sent again. @param {string|undefined} kept key */
    keepOnly(kept) {
      for (const [key, entry] of held) {
        if (key === kept) continue;
        release(entry);
        held.delete(key);
      }
    },
    clear() {
      for (const entry of held.values()) release(entry);
      held.clear();
    },
  };
}
