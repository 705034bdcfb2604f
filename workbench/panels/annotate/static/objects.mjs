/**
 * The list of the objects of an image: find one, select it, lock it, hide it.
 *
 * Only the rows in sight are elements, so that 2,000 boxes cost no more than twenty.
 */
/** @import { Box } from "./document.mjs" */

import { classColour } from "../../shared/static/colours.mjs";
import { activeWithin, icon, make, setAttribute, setText } from "../../shared/static/dom.mjs";
import { labelText } from "./draw.mjs";
import { area } from "./geometry.mjs";

/** Of a row, in CSS pixels; as in `canvas.css`. */
const ROW = 26;
/** @type {Record<string, string>} */
const ORDERS = {
  file: "As in the file",
  class: "By class",
  large: "Largest first",
  small: "Smallest first",
};

/**
 * @param {Box[]} boxes @param {string} order one of `ORDERS` @returns {Box[]}
 */
export function sortedBoxes(boxes, order) {
  /** @param {Box} a @param {Box} b */
  const bySize = (a, b) => area(b.xyxy) - area(a.xyxy);
  const sorted = [...boxes];
  if (order === "large") sorted.sort(bySize);
  if (order === "small") sorted.sort((a, b) => bySize(b, a));
  if (order === "class") sorted.sort((a, b) => a.cls - b.cls || bySize(a, b));
  return sorted;
}

/**
 * Places of the rows to be made: those in sight, and that which has the focus.
 * @param {number} count @param {number} top scrolled, in pixels @param {number} height in sight
 * @param {number} focused place, -1: none
 */
export function rowsInSight(count, top, height, focused) {
  const first = Math.max(Math.floor(top / ROW) - 2, 0);
  const last = Math.min(Math.ceil((top + height) / ROW) + 2, count);
  const places = Array.from({ length: Math.max(last - first, 0) }, (_, i) => first + i);
  if (focused >= 0 && focused < count && !places.includes(focused)) places.push(focused);
  return places;
}

/**
 * @typedef {object} ObjectsView
 * @property {Box[]} boxes in the order of the file
 * @property {string[]} names of the classes
 * @property {string[]} colours of those that have one of their own
 * @property {Set<number>} selection
 * @property {Set<number>} locked
 * @property {Set<number>} hidden
 *
 * @param {object} options
 * @param {(id: number, adding: boolean) => void} options.select
 * @param {(what: "locked"|"hidden", id: number) => void} options.toggle
 * @param {(id: number, at: {x: number, y: number}) => void} options.menu at a point of the page
 * @param {() => void} options.leave give the focus back to the stage
 */
export function createObjectList({ select, toggle, menu, leave }) {
  const sort = make(
    "select",
    { class: "wb-objects-sort", "aria-label": "Order of the objects", onchange: () => show() },
    ...Object.entries(ORDERS).map(([value, text]) => make("option", { value }, text)),
  );
  const count = make("span", { class: "wb-objects-count" });
  const space = make("div", { class: "wb-objects-space", role: "presentation" });
  const grid = make(
    "div",
    {
      class: "wb-objects-list",
      role: "grid",
      "aria-label": "Objects of this image",
      "aria-multiselectable": "true",
      onscroll: () => fill(),
      onkeydown: press,
    },
    space,
  );
  const none = make("div", { class: "wb-objects-none" }, "No boxes yet.");
  const element = make(
    "div",
    { class: "wb-objects", hidden: true },
    make("div", { class: "wb-objects-head" }, make("span", {}, "Objects"), count, sort),
    none,
    grid,
    make("div", { class: "wb-objects-note" }, "Lock and hide: in this page only."),
  );
  /** @type {Map<number, HTMLElement>} */
  const rows = new Map();
  /** @type {ObjectsView} */
  let view = {
    boxes: [],
    names: [],
    colours: [],
    selection: new Set(),
    locked: new Set(),
    hidden: new Set(),
  };
  /** @type {Box[]} */
  let sorted = [];
  /** Id of the row that Tab leads to. */
  let current = -1;
  let chosen = "";

  /** @param {string} name @param {string} text @param {(event: MouseEvent) => void} onclick @param {...Node} content */
  const cell = (name, text, onclick, ...content) =>
    make(
      "span",
      { role: "gridcell", class: `wb-object-${name}` },
      make(
        "button",
        { type: "button", tabindex: "-1", "data-part": name, "aria-label": text || null, onclick },
        ...content,
      ),
    );

  /** @param {number} id */
  function createRow(id) {
    const row = make(
      "div",
      {
        class: "wb-object",
        role: "row",
        oncontextmenu: (/** @type {MouseEvent} */ event) => {
          event.preventDefault();
          event.stopPropagation();
          menu(id, { x: event.clientX, y: event.clientY });
        },
        onfocusin: () => {
          current = id;
          fill();
        },
      },
      cell(
        "name",
        "",
        (event) => select(id, event.ctrlKey || event.metaKey || event.shiftKey),
        make("span", { class: "wb-object-swatch" }),
        make("span", { class: "wb-object-label" }),
        make("span", { class: "wb-object-size" }),
      ),
      cell("locked", "Lock", () => toggle("locked", id)),
      cell("hidden", "Hide", () => toggle("hidden", id)),
    );
    return row;
  }

  /** @param {HTMLElement} row @param {Box} box @param {number} place */
  function updateRow(row, box, place) {
    const [left, top, right, bottom] = box.xyxy;
    const [name, ...toggles] = row.querySelectorAll("button");
    const [swatch, label, size] = /** @type {Iterable<HTMLElement>} */ (name.children);
    const text = labelText(box, view.names, false);
    row.style.top = `${place * ROW}px`;
    setAttribute(row, "aria-rowindex", place + 1);
    setAttribute(row, "aria-selected", view.selection.has(box.id));
    swatch.style.background = classColour(box.cls, view.colours).fill;
    setText(label, text);
    setText(size, `${Math.round(right - left)} × ${Math.round(bottom - top)}`);
    setAttribute(name, "title", `${text}: click to select, with Ctrl to add`);
    for (const button of toggles) {
      const what = button.dataset.part === "locked" ? "locked" : "hidden";
      const isOn = view[what].has(box.id);
      if (button.getAttribute("aria-pressed") === String(isOn)) continue;
      setAttribute(button, "aria-pressed", isOn);
      const words = what === "locked" ? ["Lock", "Unlock"] : ["Hide", "Show"];
      button.title = words[Number(isOn)];
      const drawing = what === "locked" ? ["unlock", "lock"] : ["hide", "hidden"];
      button.replaceChildren(icon(drawing[Number(isOn)]));
    }
    for (const button of row.querySelectorAll("button"))
      setAttribute(button, "tabindex", box.id === current && button === name ? 0 : -1);
  }

  /** Make the rows in sight, and take the others away. */
  function fill() {
    const focused = sorted.findIndex((box) => box.id === current);
    const hadFocus = grid.contains(activeWithin(grid));
    if (focused < 0) current = sorted[0]?.id ?? -1;
    const places = rowsInSight(
      sorted.length,
      grid.scrollTop,
      grid.clientHeight,
      Math.max(focused, 0),
    );
    const wanted = new Set(places.map((place) => sorted[place].id));
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue;
      rows.delete(id);
      row.remove();
    }
    for (const place of places) {
      const box = sorted[place];
      const row = rows.get(box.id) ?? createRow(box.id);
      if (!rows.has(box.id)) {
        rows.set(box.id, row);
        space.append(row);
      }
      updateRow(row, box, place);
    }
    // The box of the row that had the focus is gone: the next key is for the picture.
    if (hadFocus && !grid.contains(activeWithin(grid))) leave();
  }

  /** @param {number} place */
  function reveal(place) {
    const [top, bottom] = [place * ROW, (place + 1) * ROW];
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (bottom > grid.scrollTop + grid.clientHeight)
      grid.scrollTop = bottom - grid.clientHeight;
  }

  /** @param {KeyboardEvent} event */
  function press(event) {
    const button = /** @type {HTMLElement} */ (event.target);
    const parts = ["name", "locked", "hidden"];
    const part = parts.indexOf(button.dataset.part ?? "");
    const place = sorted.findIndex((box) => box.id === current);
    /** @type {Record<string, [number, number]>} */
    const steps = {
      ArrowDown: [place + 1, part],
      ArrowUp: [place - 1, part],
      PageDown: [place + 10, part],
      PageUp: [place - 10, part],
      Home: [0, part],
      End: [sorted.length - 1, part],
      ArrowRight: [place, Math.min(part + 1, 2)],
      ArrowLeft: [place, Math.max(part - 1, 0)],
    };
    const held = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key === "Escape") leave();
    else if (held || !steps[event.key]) return;
    else {
      const next = Math.min(Math.max(steps[event.key][0], 0), sorted.length - 1);
      reveal(next);
      current = sorted[next].id;
      fill();
      const goal = rows.get(current)?.querySelectorAll("button")[steps[event.key][1]];
      goal?.focus({ preventScroll: true });
    }
    event.preventDefault();
    event.stopPropagation();
  }

  function show() {
    sorted = sortedBoxes(view.boxes, sort.value);
    setText(count, sorted.length ? String(sorted.length) : "");
    none.hidden = sorted.length > 0;
    grid.hidden = sorted.length === 0;
    setAttribute(grid, "aria-rowcount", sorted.length);
    space.style.height = `${sorted.length * ROW}px`;
    // What is selected on the picture is in sight here.
    const mark = [...view.selection].join();
    if (mark !== chosen && view.selection.size) {
      const place = sorted.findIndex((box) => view.selection.has(box.id));
      if (place >= 0 && !grid.contains(activeWithin(grid))) {
        current = sorted[place].id;
        reveal(place);
      }
    }
    chosen = mark;
    fill();
  }

  const observer = new ResizeObserver(() => fill());
  observer.observe(grid);

  return {
    element,
    /** @param {ObjectsView} next */
    update(next) {
      view = next;
      if (!element.hidden) show();
    },
    isOpen: () => !element.hidden,
    /** @param {boolean} open */
    toggle(open) {
      element.hidden = !open;
      if (open) show();
    },
    close: () => observer.disconnect(),
  };
}
