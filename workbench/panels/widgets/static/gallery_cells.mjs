/** One cell of the gallery: made once, filled again and again as rows come into sight. */
import { classColour } from "./box_colours.mjs";
import { make } from "./box_dom.mjs";

/** Words and signs of an image's state: never colour alone. */
export const STATES = {
  unlabelled: { sign: "○", word: "unlabelled" },
  background: { sign: "∅", word: "background" },
  labelled: { sign: "✓", word: "labelled" },
  unreadable: { sign: "!", word: "unreadable" },
  predicted: { sign: "◇", word: "predicted" },
  deleted: { sign: "×", word: "deleted" },
};
const CHIPS = 3;

/** What a screen reader says of an item. @param {string[]} classes names */
export function describeItem(item, classes) {
  const parts = [item.name];
  if (item.label) parts.unshift(item.label);
  if (item.split) parts.push(item.split);
  const state = STATES[item.state]?.word;
  if (state) parts.push(state);
  if (item.predicted) parts.push("has predictions");
  const counts = (item.counts ?? []).map(([cls, count]) => `${count} ${className(classes, cls)}`);
  if (counts.length) parts.push(counts.join(", "));
  if (item.tags?.length) parts.push(`tagged ${item.tags.join(", ")}`);
  if (item.problem) parts.push(item.problem);
  return parts.filter(Boolean).join(", ");
}

/** @param {string[]} classes */
export function className(classes, cls) {
  return classes[cls] ?? `class ${cls}`;
}

/**
 * Outlines of boxes by class, as drawing commands in the pixels of a picture.
 * @param {number[][]} boxes class, then centre and size as shares of the picture
 * @returns {Map<number, string>}
 */
export function outlines(boxes, width, height) {
  const paths = new Map();
  const short = (value) => String(Math.round(value * 10) / 10);
  for (const [cls, x, y, w, h] of boxes) {
    const [left, top] = [short((x - w / 2) * width), short((y - h / 2) * height)];
    const path = `M${left} ${top}h${short(w * width)}v${short(h * height)}h${short(-w * width)}z`;
    paths.set(cls, (paths.get(cls) ?? "") + path);
  }
  return paths;
}

export function createCell() {
  // An <img> and not a canvas: the browser then scrolls painted tiles, not dozens of layers.
  const picture = make("div", { class: "wbg-picture", "aria-hidden": "true" });
  const tick = make("span", { class: "wbg-tick", "aria-hidden": "true" });
  const badge = make("span", { class: "wbg-badge", "aria-hidden": "true" });
  const name = make("div", { class: "wbg-name", "aria-hidden": "true" });
  const chips = make("div", { class: "wbg-chips", "aria-hidden": "true" });
  const element = make("div", { class: "wbg-cell", role: "option" }, picture, tick, badge, name, chips);
  const cell = {
    element,
    position: -1,
    left: NaN,
    top: NaN,
    /** @type {HTMLImageElement|null} */
    image: null,
    entry: null,
    ticket: 0,
    isPainted: false,

    /** Take a place; what was shown there before is forgotten. */
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
        cell.layout = layout;
        element.style.width = `${layout.cellWidth}px`;
        element.style.height = `${layout.cellHeight}px`;
        picture.style.height = `${layout.pictureHeight}px`;
      }
    },

    clear() {
      cell.ticket += 1;
      cell.entry = null;
      cell.drop();
      cell.isPainted = false;
      name.textContent = "";
      badge.textContent = "";
      delete badge.dataset.state;
      chips.replaceChildren();
      element.setAttribute("aria-label", "loading");
    },

    drop() {
      if (cell.image) URL.revokeObjectURL(cell.image.src);
      cell.image = null;
      picture.replaceChildren();
    },

    /** Show an item: words at once, its picture as soon as it is decoded. */
    async fill(entry, classes) {
      if (cell.entry === entry) return;
      cell.entry = entry;
      cell.ticket += 1;
      const { ticket } = cell;
      describe(entry.item, classes);
      if (!entry.blob) {
        cell.drop();
        cell.isPainted = true;
        return;
      }
      const image = make("img", { alt: "", draggable: "false", src: URL.createObjectURL(entry.blob) });
      let isGood = true;
      try {
        await image.decode();
      } catch {
        isGood = false;
      }
      if (ticket !== cell.ticket || !isGood) URL.revokeObjectURL(image.src);
      if (ticket !== cell.ticket) return;
      cell.isPainted = true;
      cell.drop();
      if (!isGood) {
        describe({ ...entry.item, state: "unreadable", problem: "the browser cannot show this picture" }, classes);
        return;
      }
      cell.image = image;
      picture.replaceChildren(image, ...drawn(entry.item.boxes ?? [], image.naturalWidth, image.naturalHeight));
    },

    close() {
      cell.clear();
      element.remove();
    },
  };

  function describe(item, classes) {
    name.textContent = item.name;
    name.title = item.name;
    const state = STATES[item.state];
    badge.textContent = state ? `${state.sign} ${item.badge ?? state.word}` : (item.badge ?? "");
    badge.dataset.state = item.state ?? "";
    badge.title = item.problem || (state?.word ?? "");
    element.setAttribute("aria-label", describeItem(item, classes));
    const counts = item.counts ?? [];
    const shown = counts.length > CHIPS ? CHIPS - 1 : CHIPS;
    const made = counts.slice(0, shown).map(([cls, count]) => chip(classColour(cls).fill, className(classes, cls), count));
    if (counts.length > shown) made.push(make("span", { class: "wbg-more", title: counts.slice(shown).map(([cls, n]) => `${n} ${className(classes, cls)}`).join(", ") }, `+${counts.length - shown}`));
    if (item.predicted) made.unshift(make("span", { class: "wbg-chip wbg-tag", title: "has predictions to review" }, `${STATES.predicted.sign} predicted`));
    made.push(...(item.tags ?? []).map((tag) => make("span", { class: "wbg-chip wbg-tag", title: `tag ${tag}` }, `# ${tag}`)));
    if (made.length === 0 && item.note) made.push(make("span", { class: "wbg-note" }, item.note));
    if (item.split && item.state !== "deleted") made.unshift(make("span", { class: "wbg-split" }, item.split));
    chips.replaceChildren(...made);
  }

  return cell;
}

function chip(colour, text, count) {
  const label = count > 1 ? `${text} ${count}` : text;
  return make("span", { class: "wbg-chip", title: `${count} ${text}` }, make("span", { class: "wbg-dot", style: `background:${colour}` }), label);
}

const SVG = "http://www.w3.org/2000/svg";

/** The boxes over a picture; they lie in their frame as the picture does. */
function drawn(boxes, width, height) {
  if (boxes.length === 0) return [];
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const paths = outlines(boxes, width, height);
  const add = (d, name, colour) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("class", name);
    if (colour) path.style.stroke = colour;
    svg.append(path);
  };
  add([...paths.values()].join(""), "wbg-halo");
  for (const [cls, d] of paths) add(d, "wbg-box", classColour(cls).fill);
  return [svg];
}
