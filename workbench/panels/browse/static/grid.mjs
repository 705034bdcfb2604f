/**
 * The scrolling grid: only the rows in sight (and a few beyond) are elements, and cells
 * that leave are filled anew with those that enter.
 */
/** @import { GalleryMode, GalleryMessage, ItemsMessage, Ranges } from "../../types.d.ts" */
import { make, setAttribute } from "../../shared/static/dom.mjs";
import { createCell, isSame } from "./cells.mjs";
import { createFetcher } from "./fetch.mjs";
import { layoutOf, moved, placeOf, positionsIn, scrollToShow } from "./layout.mjs";
import { createScroll } from "./scroll.mjs";
import {
  clicked,
  contains,
  countOf,
  everything,
  inverted,
  NOTHING,
  withRange,
} from "./selection.mjs";

const OVERSCAN_ROWS = 2;
const SCREENS_AHEAD = 6;
const REST_MS = 150;
/** Pictures put in place in one frame while the gallery moves: more would make it late. */
const FILLS_IN_MOTION = 2;
/** Longer sides of thumbnails that are asked for, in device pixels. */
const LEVELS = [128, 256, 512];

/**
 * @typedef {ReturnType<typeof createCell>} Cell
 * @typedef {{id: number, total: number, mode?: GalleryMode, keep?: boolean, empty?: string}} List
 */

/**
 * @param {object} options
 * @param {(message: GalleryMessage) => void} options.send to the kernel
 * @param {() => string[]} options.classes
 * @param {() => string[]} options.colours of those that have one of their own
 * @param {(selection: {ranges: Ranges}) => void} options.selected the user changed the selection
 * @param {(position: number) => void} options.open
 * @param {(text: string) => void} options.say for a screen reader
 */
export function createGrid({ send, classes, colours, selected, open, say }) {
  const name = `wbg-${Math.random().toString(36).slice(2, 8)}`;
  const runway = make("div", { class: "wbg-runway", role: "presentation" });
  const empty = make("div", { class: "wbg-empty" });
  const element = make(
    "div",
    {
      class: "wbg-scroll",
      tabindex: "0",
      role: "listbox",
      "aria-multiselectable": "true",
      "aria-label": "Images. Arrow keys move, Space selects, Enter opens.",
    },
    runway,
  );
  const frame = make("div", { class: "wbg-frame" }, element, empty);

  const scroll = createScroll();
  const fetcher = createFetcher({ send, changed: () => requestPaint() });
  /** @type {Map<number, Cell>} */
  const cells = new Map();
  /** @type {Cell[]} */
  const spare = [];
  /** @type {List} */
  let listing = { id: -1, total: 0 };
  let size = { width: 0, height: 0 };
  let wish = 168;
  let layout = layoutOf({ width: 0, wish, total: 0 });
  let selection = { ranges: NOTHING, anchor: 0 };
  let active = 0;
  let forward = true;
  let request = 0;
  let rest = 0;
  let isHidden = false;
  let isMoving = false;
  let hasOpened = false; // something in another panel, which takes this one's place
  let fills = 0; // that this frame may still do
  /** What was clicked in cells that were about to be replaced, and what to do once it is here again. */
  let waiting =
    /** @type {{entry: import("./fetch.mjs").Entry, run: (position: number) => void}[]} */ ([]);

  const requestPaint = () => (request ||= requestAnimationFrame(paint));
  const level = () => {
    const pixels = layout.cellWidth * Math.min(devicePixelRatio, 2) * 0.8;
    return LEVELS.find((side) => side >= pixels) ?? LEVELS[LEVELS.length - 1];
  };
  const rowsInView = () => Math.max(1, Math.floor(size.height / layout.rowHeight));

  /** Lay everything out anew, with the first row in sight staying there. */
  function relayout(keepTop = false) {
    const [first] = positionsIn(layout, {
      top: scroll.top,
      height: size.height,
      total: listing.total,
    });
    const inRow = scroll.top - placeOf(layout, first).top;
    const isSame = keepTop && layout.columns > 0;
    layout = layoutOf({ width: size.width, wish, total: listing.total });
    const top = isSame
      ? scroll.top
      : first === 0
        ? 0
        : placeOf(layout, first).top + Math.min(inRow, layout.cellHeight);
    const scrollTop = scroll.resize(layout.height, size.height, top);
    runway.style.height = `${scroll.height}px`;
    element.scrollTop = scrollTop;
    fetcher.sharpen(level());
    requestPaint();
  }

  function paint() {
    request = 0;
    if (size.width === 0) return;
    fills = isMoving ? FILLS_IN_MOTION : Infinity;
    const view = { top: scroll.top, height: size.height, total: listing.total };
    const visible = positionsIn(layout, view);
    const [from, to] = positionsIn(layout, { ...view, overscan: OVERSCAN_ROWS });
    for (const [position, cell] of cells) {
      if (position >= from && position < to) continue;
      cells.delete(position);
      spare.push(cell);
    }
    for (let position = from; position < to; position++) {
      let cell = cells.get(position);
      if (!cell) {
        cell = spare.pop() ?? newCell();
        cells.set(position, cell);
      }
      show(cell, position);
    }
    if (!isMoving) sortCells(from, to);
    // More cells than a screen shows are kept for the next rows, but not for ever.
    for (const cell of spare.splice(Math.max(8, 2 * layout.columns))) cell.close();
    for (const cell of spare) if (!cell.element.hidden) cell.element.hidden = true;
    const ahead = positionsIn(layout, { ...view, overscan: SCREENS_AHEAD * rowsInView() });
    fetcher.want(visible, ahead, forward, isMoving);
    setAttribute(element, "aria-activedescendant", cells.get(active)?.element.id ?? "");
    if (waiting.length > 0) catchUp();
    noteReady(visible);
  }

  /**
   * Let the elements follow each other as they are seen, for who has them read out: cells that
   * are filled anew stand where they were made.
   * @param {number} from @param {number} to
   */
  function sortCells(from, to) {
    /** @type {Element|null} */
    let last = null;
    for (let position = from; position < to; position++) {
      const own = cells.get(position)?.element;
      if (!own) continue;
      if (own.previousElementSibling !== last) {
        if (last) last.after(own);
        else runway.prepend(own);
      }
      last = own;
    }
  }

  function newCell() {
    const cell = createCell();
    runway.append(cell.element);
    return cell;
  }

  /** @param {Cell} cell @param {number} position */
  function show(cell, position) {
    const at = placeOf(layout, position);
    const isNew = cell.position !== position;
    cell.element.hidden = false;
    cell.place(position, at.left, at.top - scroll.offset, layout);
    if (isNew) {
      cell.element.id = `${name}-${position}`;
      cell.element.setAttribute("aria-posinset", String(position + 1));
    }
    setAttribute(cell.element, "aria-setsize", listing.total);
    setAttribute(cell.element, "aria-selected", contains(selection.ranges, position));
    cell.element.classList.toggle("wbg-active", position === active);
    const entry = fetcher.get(position);
    if (entry && entry !== cell.entry && fills === 0) requestPaint();
    else if (entry && entry !== cell.entry) {
      fills -= 1;
      cell.fill(entry, classes(), colours()).then(() => noteReady());
    }
  }

  /** Tell tests and measurements whether everything in sight is painted. */
  function noteReady(
    visible = positionsIn(layout, { top: scroll.top, height: size.height, total: listing.total }),
  ) {
    let painted = 0;
    for (let i = visible[0]; i < visible[1]; i++) if (cells.get(i)?.isPainted) painted += 1;
    element.dataset.painted = String(painted);
    element.dataset.ready = String(painted === visible[1] - visible[0] && listing.id >= 0);
  }

  /** Do what was asked for with items that have come again; forget it of those that are gone. */
  function catchUp() {
    const here = [...cells].flatMap(([position, { entry, isOutdated }]) =>
      entry && !isOutdated ? [{ position, entry }] : [],
    );
    const all = waiting;
    waiting =
      here.length < cells.size
        ? all.filter((one) => !here.some(({ entry }) => isSame(entry, one.entry)))
        : [];
    for (const one of all) {
      const found = here.find(({ entry }) => isSame(entry, one.entry));
      if (found) one.run(found.position);
    }
  }

  /** The same items or most of them are there again, in other places perhaps. */
  function outdateCells() {
    for (const [position, cell] of cells) {
      if (position < listing.total) cell.outdate();
      else {
        cells.delete(position);
        cell.position = -1;
        cell.clear();
        spare.push(cell);
      }
    }
  }

  function forgetCells() {
    waiting = [];
    for (const cell of cells.values()) {
      cell.position = -1;
      cell.clear();
      spare.push(cell);
    }
    cells.clear();
  }

  /** @param {{ranges: Ranges, anchor: number}} next */
  function setSelection(next, tell = true) {
    selection = next;
    requestPaint();
    if (tell) selected(selection);
  }

  /** @param {number|null} position */
  function moveTo(position, { extend = false } = {}) {
    if (position === null || listing.total === 0) return;
    if (extend) setSelection(clicked(selection, position, { extend: true, toggle: false }));
    else selection = { ...selection, anchor: position };
    active = position;
    const top = scrollToShow(layout, { top: scroll.top, height: size.height }, position);
    if (top !== scroll.top) element.scrollTop = scroll.seek(top);
    requestPaint();
    const item = fetcher.get(position)?.item;
    if (!item) say(`item ${position + 1} of ${listing.total}`);
  }

  element.addEventListener(
    "scroll",
    () => {
      const at = element.scrollTop;
      // An element that is being hidden forgets where it was; asking for its width costs a layout.
      if (isHidden || (at === 0 && element.clientWidth === 0)) return;
      const before = scroll.top;
      scroll.scrolled(at);
      if (scroll.top !== before) forward = scroll.top > before;
      requestPaint();
      isMoving = true;
      clearTimeout(rest);
      rest = setTimeout(() => {
        isMoving = false;
        const place = scroll.settle();
        if (place !== Math.round(element.scrollTop)) element.scrollTop = place;
        requestPaint();
      }, REST_MS);
    },
    { passive: true },
  );

  /** @param {number} position */
  function openAt(position) {
    hasOpened = true;
    open(position);
  }

  /**
   * Do something with the item under the pointer: with the one that is seen there.
   * @param {Event} event @param {(position: number) => void} run
   */
  function withItem(event, run) {
    const target = /** @type {Element} */ (event.target).closest(".wbg-cell");
    for (const [position, cell] of cells) {
      if (cell.element !== target) continue;
      if (cell.isOutdated && cell.entry) waiting.push({ entry: cell.entry, run });
      else run(position);
    }
  }
  /** @param {Event} event */
  const isTick = (event) => /** @type {Element} */ (event.target).closest(".wbg-tick") !== null;
  element.addEventListener("mousedown", (event) => {
    if (event.shiftKey) event.preventDefault(); // no text is selected by a range
  });
  element.addEventListener("click", (event) => {
    // The wrong ones of what is suggested are clicked one after the other.
    const isMarking = listing.mode === "suggested";
    const toggle = event.ctrlKey || event.metaKey || isTick(event) || isMarking;
    const extend = event.shiftKey;
    withItem(event, (position) => {
      active = position;
      setSelection(clicked(selection, position, { toggle, extend }));
    });
  });
  element.addEventListener("dblclick", (event) => {
    if (!isTick(event)) withItem(event, openAt);
  });

  const observer = new ResizeObserver(() => {
    const next = { width: element.clientWidth, height: element.clientHeight };
    if (next.width === 0) {
      isHidden = true; // another tab: the element forgets where it was scrolled to
      return;
    }
    if (isHidden) {
      isHidden = false;
      element.scrollTop = scroll.seek(scroll.top);
      requestPaint();
      // After the annotator is closed, the user goes on at the same place, also with keys.
      if (hasOpened && document.activeElement?.contains(element)) grid.focus();
      hasOpened = false;
    }
    if (next.width === size.width && next.height === size.height) return;
    size = next;
    relayout();
  });
  observer.observe(element);

  const grid = {
    element: frame,
    /** What takes the keys. */
    keyboard: element,
    focus: () => element.focus({ preventScroll: true }),
    /** The selection is opened elsewhere: come back to here. */
    noteOpened: () => (hasOpened = true),
    /** @param {EventTarget|null} target */
    isTarget: (target) => target === element,
    /** @param {KeyboardEvent} event @returns {boolean} whether the key was meant for the grid */
    key(event) {
      const mod = event.ctrlKey || event.metaKey;
      if (event.key === " ") {
        setSelection(clicked(selection, active, { toggle: true, extend: event.shiftKey }));
        return true;
      }
      if (event.key === "Enter" && !event.shiftKey) {
        if (listing.total) openAt(active);
        return true;
      }
      if (event.altKey || (mod && !["Home", "End"].includes(event.key))) return false;
      const to = moved(active, event.key, {
        columns: layout.columns,
        rowsInView: rowsInView(),
        total: listing.total,
      });
      if (to === null) return false;
      moveTo(to, { extend: event.shiftKey });
      return true;
    },
    /** Places of what is in sight, half-open. @returns {[number, number]} */
    inSight: () => {
      const view = { top: scroll.top, height: size.height, total: listing.total };
      const [first, last] = positionsIn(layout, view);
      return [first, last];
    },
    selectAll: () => setSelection({ ranges: everything(listing.total), anchor: 0 }),
    selectNone: () => setSelection({ ...selection, ranges: NOTHING }),
    invert: () => setSelection({ ...selection, ranges: inverted(selection.ranges, listing.total) }),
    selectionCount: () => countOf(selection.ranges),
    /** Take over a selection that the kernel made. @param {Ranges} ranges */
    adopt(ranges) {
      let own = NOTHING;
      for (const [from, to] of ranges) own = withRange(own, from, to);
      setSelection({ ...selection, ranges: own }, false);
    },
    /** Show another list of items. @param {List} next */
    setListing(next) {
      listing = next;
      active = Math.min(active, Math.max(0, next.total - 1));
      if (!next.keep) active = 0;
      selection = { ranges: NOTHING, anchor: active };
      if (next.keep) outdateCells();
      else forgetCells();
      fetcher.reset(next.id, level());
      if (!next.keep) element.scrollTop = scroll.seek(0);
      empty.textContent = next.total ? "" : (next.empty ?? "");
      empty.hidden = next.total > 0;
      relayout(true);
    },
    /** @param {number} next */
    setWish(next) {
      wish = next;
      relayout();
    },
    /** @param {boolean} on */
    toggleBoxes: (on) => element.classList.toggle("wbg-no-boxes", !on),
    relabel() {
      for (const cell of cells.values()) cell.entry = null;
      requestPaint();
    },
    /** @param {ItemsMessage} message @param {DataView<ArrayBuffer>[]} buffers */
    receive: (message, buffers) => fetcher.receive(message, buffers),
    /** @param {number} position */
    show: (position) => moveTo(position),
    /** For tests and measurements. */
    stats: () => {
      const all = [...cells.values(), ...spare];
      const decoded = all.reduce((sum, cell) => sum + cell.decodedBytes(), 0);
      return { ...fetcher.stats(), cells: all.length, decoded };
    },
    close() {
      observer.disconnect();
      cancelAnimationFrame(request);
      clearTimeout(rest);
      for (const cell of [...cells.values(), ...spare]) cell.close();
      cells.clear();
    },
  };
  return grid;
}
