/** One cell of the gallery: made once, filled again and again as rows come into sight. */
/** @import { Item, ItemState } from "../../types.d.ts" */
import { classColour } from "../../shared/static/colours.mjs";
import { make } from "../../shared/static/dom.mjs";

/** @typedef {import("./fetch.mjs").Entry} Entry @typedef {ReturnType<typeof import("./layout.mjs").layoutOf>} Layout */

/** Words and signs of an image's state: never colour alone. @type {Record<ItemState, {sign: string, word: string}>} */
export const STATES = {
  unlabelled: { sign: "○", word: "unlabelled" },
  background: { sign: "∅", word: "background" },
  labelled: { sign: "✓", word: "labelled" },
  unreadable: { sign: "!", word: "unreadable" },
  predicted: { sign: "◇", word: "predicted" },
  deleted: { sign: "×", word: "deleted" },
};

/** What a screen reader says of an item. @param {Item} item @param {string[]} classes names */
export function describeItem(item, classes) {
  const parts = [item.name];
  if (item.label) parts.unshift(item.label);
  if (item.split) parts.push(item.split);
  const state = item.state && STATES[item.state]?.word;
  if (state) parts.push(state);
  if (item.predicted) parts.push("has predictions");
  const counts = (item.counts ?? []).map(([cls, count]) => `${count} ${className(classes, cls)}`);
  if (counts.length) parts.push(counts.join(", "));
  if (item.tags?.length) parts.push(`tagged ${item.tags.join(", ")}`);
  if (item.problem) parts.push(item.problem);
  return parts.filter(Boolean).join(", ");
}

/** @param {string[]} classes @param {number} cls */
export function className(classes, cls) {
  return classes[cls] ?? `class ${cls}`;
}

/**
 * Outlines of boxes by class, as drawing commands in the pixels of a picture.
 * @param {number[][]} boxes class, then centre and size as shares of the picture
 * @param {number} width @param {number} height
 * @returns {Map<number, string>}
 */
export function outlines(boxes, width, height) {
  const paths = new Map();
  /** @param {number} value */
  const short = (value) => String(Math.round(value * 10) / 10);
  for (const [cls, x, y, w, h] of boxes) {
    const [left, top] = [short((x - w / 2) * width), short((y - h / 2) * height)];
    const path = `M${left} ${top}h${short(w * width)}v${short(h * height)}h${short(-w * width)}z`;
    paths.set(cls, (paths.get(cls) ?? "") + path);
  }
  return paths;
}

/** Room for a text, in CSS pixels at 12 px: a guess from above, so that most need no clipping. @param {string} text */
export function roomFor(text) {
  let width = 0;
  for (const letter of text) width += letter.charCodeAt(0) < 0x250 ? 7 : 13;
  return width;
}

/** What takes room in a line of chips besides the text: padding, border, gap and the dot. */
const CHIP_ROOM = 16 + 12;
const MORE_ROOM = 30;

/**
 * How many of the texts fit side by side, with room for "+n" if it is not all.
 * @param {string[]} texts @param {number} width in CSS pixels
 */
export function howManyFit(texts, width) {
  let used = 0;
  for (let i = 0; i < texts.length; i++) {
    used += roomFor(texts[i]) + CHIP_ROOM;
    const rest = i < texts.length - 1 ? MORE_ROOM : 0;
    // If the first chip is too long, it is cut off: that is better than to show none.
    if (used + rest > width) return Math.max(i, 1);
  }
  return texts.length;
}

/**
 * Whether two entries show the same thing, though they may stand in different lists.
 * @param {Entry} one @param {Entry} other
 */
export function isSame(one, other) {
  return one.jpeg
    ? one.jpeg === other.jpeg && one.item.name === other.item.name
    : one.item.key === other.item.key;
}

export function createCell() {
  // An <img> and not a canvas: the browser then scrolls painted tiles, not dozens of layers.
  const picture = make("div", { class: "wbg-picture", "aria-hidden": "true" });
  const reason = make("div", { class: "wbg-reason" });
  const tick = make("span", { class: "wbg-tick", "aria-hidden": "true" });
  const badge = make("span", { class: "wbg-badge", "aria-hidden": "true" });
  const name = make("div", { class: "wbg-name", "aria-hidden": "true" });
  const chips = make("div", { class: "wbg-chips", "aria-hidden": "true" });
  const element = make(
    "div",
    { class: "wbg-cell", role: "option" },
    picture,
    tick,
    badge,
    name,
    chips,
  );
  const cell = {
    element,
    position: -1,
    left: NaN,
    top: NaN,
    /** @type {HTMLImageElement|null} */
    image: null,
    /** @type {Entry|null} */
    entry: null,
    /** Names of the classes. @type {string[]} */
    classes: [],
    /** Of those that have one of their own. @type {string[]} */
    colours: [],
    /** @type {Layout|null} */
    layout: null,
    ticket: 0,
    isPainted: false,
    /** Shows what was here in the list before, until it is known what is here now. */
    isOutdated: false,

    /**
     * Take a place; what was shown there before is forgotten.
     * @param {number} position @param {number} left @param {number} top @param {Layout} layout
     */
    place(position, left, top, layout) {
      if (position !== cell.position) {
        cell.position = position;
        cell.clear();
      }
      // Not a transform: each would be painted and put in place as a thing of its own.
      if (left !== cell.left) element.style.left = `${left}px`;
      if (top !== cell.top) element.style.top = `${top}px`;
      Object.assign(cell, { left, top });
      if (cell.layout !== layout) {
        const isWider = cell.layout?.cellWidth !== layout.cellWidth;
        cell.layout = layout;
        element.style.width = `${layout.cellWidth}px`;
        element.style.height = `${layout.cellHeight}px`;
        picture.style.height = `${layout.pictureHeight}px`;
        if (cell.entry && isWider) describe(cell.entry.item, cell.classes);
      }
    },

    clear() {
      cell.ticket += 1;
      cell.entry = null;
      cell.drop();
      cell.isPainted = false;
      cell.isOutdated = false;
      name.textContent = "";
      badge.textContent = "";
      delete badge.dataset.state;
      chips.replaceChildren();
      element.setAttribute("aria-label", "loading");
    },

    drop() {
      cell.image = null;
      picture.replaceChildren();
    },

    /** The list has changed: keep what is shown for the moment, or all pictures would flash. */
    outdate() {
      cell.isOutdated = cell.entry !== null;
      cell.isPainted = false;
      cell.ticket += 1;
    },

    /** Show an item: words at once, its picture as soon as it is decoded. @param {Entry} entry @param {string[]} classes @param {string[]} colours */
    async fill(entry, classes, colours) {
      if (cell.entry === entry) return;
      const isStill = cell.entry !== null && isSame(cell.entry, entry);
      cell.entry = entry;
      cell.classes = classes;
      cell.colours = colours;
      cell.isOutdated = false;
      cell.ticket += 1;
      const { ticket } = cell;
      describe(entry.item, classes);
      if (!entry.jpeg) {
        cell.drop();
        explain(entry.item);
        cell.isPainted = true;
        return;
      }
      if (isStill && cell.image) {
        cell.isPainted = true;
        overlay(cell.image, entry.item);
        return;
      }
      if (!isStill && cell.image?.dataset.key !== entry.item.key) cell.drop();
      const image = make("img", {
        alt: "",
        draggable: "false",
        src: entry.jpeg,
        "data-key": entry.item.key,
      });
      const isGood = await image.decode().then(
        () => true,
        () => false,
      );
      if (ticket !== cell.ticket) return;
      cell.isPainted = true;
      if (!isGood) {
        cell.drop();
        /** @type {Item} */
        const item = {
          ...entry.item,
          state: "unreadable",
          problem: "the browser cannot show this picture",
        };
        describe(item, classes);
        explain(item);
        return;
      }
      cell.image = image;
      overlay(image, entry.item);
    },

    decodedBytes: () => (cell.image ? 4 * cell.image.naturalWidth * cell.image.naturalHeight : 0),

    close() {
      cell.clear();
      element.remove();
    },
  };

  /** Put the picture in place, with the boxes over it. @param {HTMLImageElement} image @param {Item} item */
  function overlay(image, item) {
    picture.replaceChildren(
      image,
      ...drawn(item.boxes ?? [], image.naturalWidth, image.naturalHeight, cell.colours),
    );
  }

  /** Say where the picture would be why there is none. @param {Item} item */
  function explain(item) {
    if (!item.problem) return;
    reason.textContent = item.problem;
    reason.title = item.problem;
    picture.replaceChildren(reason);
  }

  /**
   * Write a text that is clipped only if it may be too long: each clip costs in each frame.
   * @param {HTMLElement} place @param {string} text @param {number} width
   */
  function write(place, text, width) {
    place.textContent = text;
    place.classList.toggle("wbg-long", roomFor(text) > width);
  }

  /** @param {Item} item @param {string[]} classes */
  function describe(item, classes) {
    const width = cell.layout?.cellWidth ?? 0;
    write(name, item.name, width - 16);
    name.title = item.name;
    const state = item.state && STATES[item.state];
    write(
      badge,
      state ? `${state.sign} ${item.badge ?? state.word}` : (item.badge ?? ""),
      width - 46,
    );
    badge.dataset.state = item.state ?? "";
    badge.title = item.problem || (state ? state.word : "");
    element.setAttribute("aria-label", describeItem(item, classes));
    chips.replaceChildren(...lineOf(item, classes, cell.colours, width - 14));
  }

  return cell;
}

/**
 * Split, chips of classes and tags: as many as fit, the rest as a number.
 * @param {Item} item @param {string[]} classes @param {string[]} colours @param {number} width
 */
function lineOf(item, classes, colours, width) {
  const made = [];
  const split = item.state === "deleted" ? "" : (item.split ?? "");
  if (split) made.push(make("span", { class: "wbg-split" }, split));
  let room = width - (split ? roomFor(split) + 4 : 0);
  /** @type {{text: string, title: string, colour?: string}[]} */
  const things = [];
  if (item.predicted)
    things.push({ text: `${STATES.predicted.sign} predicted`, title: "has predictions to review" });
  for (const [cls, count] of item.counts ?? []) {
    const text = className(classes, cls);
    things.push({
      text: count > 1 ? `${text} ${count}` : text,
      title: `${count} ${text}`,
      colour: classColour(cls, colours).fill,
    });
  }
  for (const tag of item.tags ?? []) things.push({ text: `# ${tag}`, title: `tag ${tag}` });
  const texts = things.map((thing) => thing.text);
  const fit = howManyFit(texts, room);
  for (const { text, title, colour } of things.slice(0, fit)) {
    const isLong = roomFor(text) + CHIP_ROOM > room;
    made.push(chip(text, title, colour, isLong));
    room -= roomFor(text) + CHIP_ROOM;
  }
  const rest = things.slice(fit);
  if (rest.length)
    made.push(
      make(
        "span",
        { class: "wbg-more", title: rest.map((thing) => thing.title).join(", ") },
        `+${rest.length}`,
      ),
    );
  if (things.length === 0 && item.note) made.push(make("span", { class: "wbg-note" }, item.note));
  return made;
}

/** @param {string} text @param {string} title @param {string | undefined} colour @param {boolean} isLong */
function chip(text, title, colour, isLong) {
  const dot = colour ? [make("span", { class: "wbg-dot", style: `background:${colour}` })] : [];
  const kinds = ["wbg-chip", ...(colour ? [] : ["wbg-tag"]), ...(isLong ? ["wbg-long"] : [])];
  return make("span", { class: kinds.join(" "), title }, ...dot, make("span", {}, text));
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * The boxes over a picture; they lie in their frame as the picture does.
 * @param {number[][]} boxes @param {number} width @param {number} height @param {string[]} colours
 */
function drawn(boxes, width, height, colours) {
  if (boxes.length === 0) return [];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const paths = outlines(boxes, width, height);
  /** @param {string} d @param {string} name @param {string} colour */
  const add = (d, name, colour = "") => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("class", name);
    if (colour) path.style.stroke = colour;
    svg.append(path);
  };
  add([...paths.values()].join(""), "wbg-halo");
  for (const [cls, d] of paths) add(d, "wbg-box", classColour(cls, colours).fill);
  return [svg];
}
