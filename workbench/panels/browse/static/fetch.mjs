/**
 * Asks the kernel for items, a few dozen at a time, and keeps what came for a while.
 *
 * Nothing is asked for ahead of its turn: a request goes out when an earlier one is done,
 * for the first things missing in what is in sight *then*. So after a long scroll the
 * newest range is asked for first and what was skipped never is; a request under way
 * whose range is out of sight is called off.
 *
 * @typedef {{item: Item, jpeg: string, bytes: number, level: number}} Entry; `jpeg` is a data URL or empty
 */
/** @import { GalleryMessage, Item, ItemsMessage, Range } from "../../types.d.ts" */

const CHUNK = 48;
const PARALLEL = 2;
const MAX_BYTES = 16 * 2 ** 20;
const MAX_ITEMS = 6000;
const PART = 16384;
const ITEM_COST = 500; // bytes that an item takes besides its picture, roughly

/**
 * The picture as a URL that holds it: for the URL of a blob the page would wait for the
 * browser's process, when it is made and when it is given back.
 * @param {DataView} view
 */
export function dataUrl(view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  // Browsers have it since 2024 (Firefox, Safari) and 2025 (Chromium); it takes a tenth of the time.
  if (bytes.toBase64) return `data:image/jpeg;base64,${bytes.toBase64()}`;
  let binary = "";
  // In parts: a call takes some 65,000 arguments in every browser, and no more.
  for (let i = 0; i < bytes.length; i += PART)
    binary += String.fromCharCode(...bytes.subarray(i, i + PART));
  return `data:image/jpeg;base64,${btoa(binary)}`;
}

/** Neighbouring positions as half-open ranges. @param {number[]} positions ascending or not @returns {Range[]} */
export function rangesOf(positions) {
  /** @type {[number, number][]} */
  const ranges = [];
  for (const position of [...positions].sort((a, b) => a - b)) {
    const open = ranges.at(-1);
    if (open && open[1] === position) open[1] += 1;
    else ranges.push([position, position + 1]);
  }
  return ranges;
}

/**
 * @param {{send: (message: GalleryMessage) => void, changed: (positions: number[]) => void,
 *   chunk?: number, parallel?: number, maxBytes?: number, maxItems?: number}} options
 */
export function createFetcher({
  send,
  changed,
  chunk = CHUNK,
  parallel = PARALLEL,
  maxBytes = MAX_BYTES,
  maxItems = MAX_ITEMS,
}) {
  /** @type {Map<number, Entry>} oldest use first */
  const kept = new Map();
  /** @type {Map<number, Set<number>>} request id to the positions that it lacks still */
  const underWay = new Map();
  let listing = -1;
  let level = 0;
  let lastId = 0;
  let bytes = 0;
  /** @type {{visible: Range, around: Range, forward: boolean, isMoving: boolean}} */
  let wanted = { visible: [0, 0], around: [0, 0], forward: true, isMoving: false };

  /** @param {number} position */
  const lacks = (position) => {
    const entry = kept.get(position);
    return !entry || (entry.level < level && entry.item.picture);
  };

  /** @param {number} position */
  const isVisible = (position) => position >= wanted.visible[0] && position < wanted.visible[1];

  function* inOrder() {
    const { visible, around, forward } = wanted;
    for (let i = visible[0]; i < visible[1]; i++) yield i;
    const ahead = function* () {
      for (let i = visible[1]; i < around[1]; i++) yield i;
    };
    const behind = function* () {
      for (let i = visible[0] - 1; i >= around[0]; i--) yield i;
    };
    yield* forward ? ahead() : behind();
    yield* forward ? behind() : ahead();
  }

  function pump() {
    while (underWay.size < parallel) {
      const taken = new Set([...underWay.values()].flatMap((set) => [...set]));
      const next = [];
      for (const position of inOrder()) {
        if (next.length === chunk) break;
        if (lacks(position) && !taken.has(position)) next.push(position);
      }
      if (next.length === 0) return;
      // While the gallery scrolls, each message may cost a frame, so only a few are sent at a time.
      if (wanted.isMoving && next.length < chunk && !next.some(isVisible)) return;
      lastId += 1;
      underWay.set(lastId, new Set(next));
      send({ kind: "want", id: lastId, listing, level, ranges: rangesOf(next) });
    }
  }

  function callOff() {
    const [from, to] = wanted.around;
    for (const [id, positions] of underWay) {
      if ([...positions].some((position) => position >= from && position < to)) continue;
      underWay.delete(id);
      send({ kind: "cancel", id });
    }
  }

  /** @param {number} position @param {Entry} entry */
  function store(position, entry) {
    forget(position);
    kept.set(position, entry);
    bytes += entry.bytes;
  }

  /** @param {number} position */
  function forget(position) {
    const entry = kept.get(position);
    if (!entry) return;
    kept.delete(position);
    bytes -= entry.bytes;
  }

  function shrink() {
    const [from, to] = wanted.around;
    for (const position of kept.keys()) {
      if (bytes <= maxBytes && kept.size <= maxItems) return;
      if (position < from || position >= to) forget(position);
    }
  }

  return {
    /** Begin anew with another list of items. @param {number} nextListing */
    reset(nextListing, nextLevel = level) {
      listing = nextListing;
      level = nextLevel;
      kept.clear();
      bytes = 0;
      for (const id of underWay.keys()) send({ kind: "cancel", id });
      underWay.clear();
      wanted = { visible: [0, 0], around: [0, 0], forward: true, isMoving: false };
    },
    /** Ask for sharper pictures from now on; what is there stays until they come. @param {number} nextLevel */
    sharpen(nextLevel) {
      level = nextLevel;
      pump();
    },
    /**
     * Say what is needed now.
     * @param {Range} visible half-open @param {Range} around likewise, wider
     */
    want(visible, around, forward = true, isMoving = false) {
      wanted = { visible, around, forward, isMoving };
      callOff();
      pump();
    },
    /**
     * An answer: some of the items asked for, the last with `done`.
     * @param {ItemsMessage} message @param {DataView<ArrayBuffer>[]} buffers
     */
    receive(message, buffers) {
      if (message.listing !== listing) return;
      /** @type {number[]} */
      const positions = [];
      const waiting = underWay.get(message.id);
      for (const item of message.items) {
        const view = item.buffer === undefined ? null : buffers[item.buffer];
        const jpeg = view ? dataUrl(view) : "";
        store(item.position, { item, jpeg, bytes: jpeg.length + ITEM_COST, level: message.level });
        waiting?.delete(item.position);
        positions.push(item.position);
      }
      if (message.done) {
        // Items that the kernel could not deliver are not requested again and again.
        for (const position of waiting ?? []) {
          /** @type {Item} */
          const item = {
            position,
            key: "",
            name: "",
            state: "unreadable",
            picture: false,
            boxes: [],
            problem: message.problem ?? "",
          };
          store(position, { item, jpeg: "", bytes: ITEM_COST, level: message.level });
          positions.push(position);
        }
        underWay.delete(message.id);
      }
      shrink();
      changed(positions);
      pump();
    },
    /** @param {number} position @returns {Entry|undefined} */
    get(position) {
      const entry = kept.get(position);
      if (entry) {
        kept.delete(position); // used just now: last to go
        kept.set(position, entry);
      }
      return entry;
    },
    /** For tests and measurements. */
    stats: () => ({ bytes, items: kept.size, underWay: underWay.size }),
  };
}
