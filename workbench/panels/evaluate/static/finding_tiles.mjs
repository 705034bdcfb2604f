/** Findings as pictures to click: solid the label, dashed the prediction, as in the annotator. */
/** @import { FindingTilesModel, Share, Tile, View } from "../../types.d.ts" */
import { classColour } from "../../shared/static/colours.mjs";
import { make, placeOfFocus } from "../../shared/static/dom.mjs";
import { createSender } from "../../shared/static/kernel.mjs";

const SVG = "http://www.w3.org/2000/svg";

/**
 * Where a key leads in a grid of so many columns; null for other keys.
 * @param {string} key @param {number} place @param {{columns: number, total: number}} grid @returns {number | null}
 */
export function tileAt(key, place, { columns, total }) {
  /** @type {Record<string, number>} */
  const places = {
    ArrowLeft: place - 1,
    ArrowRight: place + 1,
    ArrowUp: place - columns,
    ArrowDown: place + columns,
    Home: 0,
    End: total - 1,
  };
  const to = places[key];
  if (to === undefined || total === 0) return null;
  return to < 0 || to >= total ? place : to;
}

/**
 * The drawing commands of a box given as left, top, width, height in shares of a picture.
 * @param {Share} box @param {number} across @param {number} down
 */
export function boxPath([left, top, width, height], across, down) {
  /** @param {number} value */
  const short = (value) => String(Math.round(value * 100) / 100);
  return (
    `M${short(left * across)} ${short(top * down)}h${short(width * across)}` +
    `v${short(height * down)}h${short(-width * across)}z`
  );
}

/** @param {Tile} tile @param {string[]} colours */
function drawing(tile, colours) {
  const [across, down] = tile.shape;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${across} ${down}`);
  /** @param {string} d @param {string} className @param {string} stroke */
  const add = (d, className, stroke = "") => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("class", className);
    if (stroke) path.style.stroke = stroke;
    svg.append(path);
  };
  /** @param {Share | null} box @param {number} cls @param {string} className */
  const outline = (box, cls, className) => {
    if (!box) return;
    const d = boxPath(box, across, down);
    add(d, "wbe-halo");
    add(d, className, classColour(cls, colours).fill);
  };
  outline(tile.label, tile.label_class, "wbe-label");
  outline(tile.prediction, tile.class_id, "wbe-prediction");
  return svg;
}

/** @param {View<FindingTilesModel>} view */
function render({ model, el }) {
  const kernel = createSender(model);
  const grid = make("div", { class: "wbe-tiles", role: "group" });
  el.append(grid);
  /** @type {string[]} */
  let addresses = [];

  const release = () => {
    for (const address of addresses) URL.revokeObjectURL(address);
    addresses = [];
  };
  /** @param {Tile} tile */
  const picture = (tile) => {
    const frame = make("span", { class: "wbe-picture", "aria-hidden": "true" });
    if (!tile.picture) {
      frame.append(make("span", { class: "wbe-problem" }, tile.problem));
      return frame;
    }
    const address = URL.createObjectURL(new Blob([tile.picture], { type: "image/jpeg" }));
    addresses.push(address);
    frame.append(
      make("img", { alt: "", draggable: "false", src: address }),
      drawing(tile, model.get("colours")),
    );
    return frame;
  };
  /** @param {Tile} tile @param {number} place */
  const button = (tile, place) =>
    make(
      "button",
      {
        class: "wbe-tile",
        type: "button",
        tabindex: place === 0 ? "0" : "-1",
        "aria-label": tile.words,
        title: `${tile.words}\nClick to open it in the annotator`,
        onclick: () => kernel.send({ kind: "open", number: tile.number }),
      },
      picture(tile),
      make("span", { class: "wbe-title" }, tile.title),
      make("span", { class: "wbe-name" }, tile.name),
    );
  const buttons = () => [...grid.querySelectorAll("button")];
  const draw = () => {
    const hadFocus = grid.contains(document.activeElement);
    release();
    const tiles = model.get("tiles");
    grid.setAttribute("aria-label", model.get("title"));
    const empty = make("p", { class: "wb-empty" }, model.get("empty"));
    grid.replaceChildren(...(tiles.length ? tiles.map(button) : [empty]));
    if (hadFocus) buttons()[0]?.focus();
  };
  grid.addEventListener("keydown", (event) => {
    const all = buttons();
    const place = placeOfFocus(all);
    if (place < 0) return;
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const to = tileAt(event.key, place, { columns, total: all.length });
    if (to === null) return;
    event.preventDefault();
    all[place].tabIndex = -1;
    all[to].tabIndex = 0;
    all[to].focus();
  });
  model.on("change:tiles change:empty change:title", draw);
  draw();
  return () => {
    kernel.close();
    model.off("change:tiles change:empty change:title", draw);
    release();
  };
}

export default function findingTiles() {
  return { render };
}
