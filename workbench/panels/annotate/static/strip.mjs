/** What a page knows of the images around the one that is shown: small pictures and states. */
/** @import { FilmstripMessage } from "../../types.d.ts" */

/** Pictures to hold on to; the ones farthest away go first. */
const MAX_PICTURES = 300;

/**
 * @typedef {{index: number, name: string, labelled: boolean, url: string|null}} StripItem
 *   `url`: of the picture; empty: it cannot be read; null: not here yet
 *
 * @param {object} options
 * @param {(message: {kind: "strip", walk: number, first: number, count: number, have: number[]}) => void} options.post
 * @param {(bytes: DataView<ArrayBuffer>) => string} [options.toUrl]
 * @param {(url: string) => void} [options.release]
 * @param {() => number} [options.now] milliseconds
 */
export function createStrip({
  post,
  toUrl = (bytes) => URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })),
  release = (url) => URL.revokeObjectURL(url),
  now = () => performance.now(),
}) {
  let walk = -1;
  /** @type {{first: number, count: number, at: number}|null} what was asked for last, until all of it is here */
  let awaited = null;
  /** @type {Map<number, StripItem>} */
  const items = new Map();

  /** @param {number} index */
  function drop(index) {
    const url = items.get(index)?.url;
    if (url) release(url);
    items.delete(index);
  }

  function clear() {
    for (const index of [...items.keys()]) drop(index);
  }

  return {
    clear,
    drop,
    /** @param {number} index */
    at: (index) => items.get(index) ?? null,

    /** Ask for the states of images, and for the pictures that are not here. @param {number} of walk @param {number} first @param {number} count */
    ask(of, first, count) {
      if (of !== walk) clear();
      walk = of;
      awaited = { first, count, at: now() };
      const places = Array.from({ length: count }, (_, i) => first + i);
      const have = places.filter((place) => typeof items.get(place)?.url === "string");
      post({ kind: "strip", walk, first, count, have });
    },

    /** Ask once more, if something did not come for so long. @param {number} of walk @param {number} patience milliseconds */
    askAgain(of, patience) {
      if (awaited && of === walk && now() - awaited.at >= patience)
        this.ask(of, awaited.first, awaited.count);
    },

    /** @param {FilmstripMessage} message @param {DataView<ArrayBuffer>[]} buffers */
    received(message, buffers) {
      if (message.walk !== walk) return;
      for (const { index, name, labelled, buffer } of message.items) {
        const bytes = buffer === null ? null : buffers[buffer];
        let url = items.get(index)?.url ?? null;
        if (bytes && url === null) url = bytes.byteLength ? toUrl(bytes) : "";
        items.set(index, { index, name, labelled, url });
      }
      const isLast = message.items[0]?.index === awaited?.first;
      if (isLast && message.items.every(({ index }) => items.get(index)?.url !== null))
        awaited = null;
      const middle = message.items[Math.floor(message.items.length / 2)]?.index ?? 0;
      const far = [...items.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
      for (const index of far.slice(0, Math.max(items.size - MAX_PICTURES, 0))) drop(index);
    },
  };
}
