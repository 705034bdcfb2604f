/** A table of models: one row is chosen; a sparkline tells how training went. */
/** @import { ModelRow, ModelTableModel, View } from "../../types.d.ts" */
import { make, placeOfFocus } from "../../shared/static/dom.mjs";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 90;
const HEIGHT = 22;
const PAD = 2;

/** Points of a curve of values in 0..1, for a polyline. @param {number[]} values @param {number} width @param {number} height @param {number} pad */
export function sparkPoints(values, width, height, pad) {
  const top = Math.max(...values, 0) || 1;
  const step = values.length > 1 ? (width - 2 * pad) / (values.length - 1) : 0;
  /** @param {number} value */
  const short = (value) => String(Math.round(value * 10) / 10);
  return values
    .map(
      (v, i) =>
        `${short(pad + i * step)},${short(height - pad - (Math.max(v, 0) / top) * (height - 2 * pad))}`,
    )
    .join(" ");
}

/**
 * The place in a list to which a key leads; null for other keys.
 * @param {string} key @param {number} place @param {number} length @returns {number | null}
 */
export function rowAt(key, place, length) {
  /** @type {Record<string, number>} */
  const places = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: length - 1 };
  return key in places ? Math.min(Math.max(places[key], 0), length - 1) : null;
}

/** @param {number[]} values */
function sparkline(values) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "wbm-spark");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("width", String(WIDTH));
  svg.setAttribute("height", String(HEIGHT));
  const last = values[values.length - 1];
  const words = `mAP50-95 over ${values.length} epochs, best ${Math.max(...values).toFixed(3)}, last ${last.toFixed(3)}`;
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", words);
  const title = document.createElementNS(SVG, "title");
  title.textContent = words;
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", sparkPoints(values, WIDTH, HEIGHT, PAD));
  svg.append(title, line);
  return svg;
}

/** @param {View<ModelTableModel>} view */
function render({ model, el }) {
  const root = make("div", { class: "wb-scroll" });
  el.append(root);
  /** @returns {HTMLButtonElement[]} */
  const names = () => [...root.querySelectorAll("button")];
  /** @param {string} name */
  const choose = (name) => {
    model.set("chosen", name);
    model.save_changes();
  };
  /** Classes of a column; a spare one is left out where there is no room. @param {number} at */
  const kind = (at) => {
    const place = model.get("spare").indexOf(at);
    const text = model.get("texts").includes(at) ? "wb-text" : "";
    return place < 0 ? text : `${text} wbm-spare wbm-spare-${place}`;
  };
  /** @param {ModelRow} entry @param {number} place */
  const row = (entry, place) => {
    const button = make(
      "button",
      { class: "wbm-choose", type: "button", "data-name": entry.name, tabindex: "-1" },
      entry.name,
    );
    const mark = entry.is_active ? [make("span", { class: "wbm-active" }, "● active")] : [];
    const problem = entry.problem
      ? [make("span", { class: "wbm-problem" }, `⚠ ${entry.problem}`)]
      : [];
    const head = make("th", { scope: "row", class: "wb-text" }, button, ...mark, ...problem);
    const curve = make(
      "td",
      { class: "wbm-curve" },
      entry.curve.length > 1 ? sparkline(entry.curve) : "–",
    );
    const cells = entry.cells.map((text, at) => make("td", { class: kind(at) }, text));
    return make(
      "tr",
      { onclick: () => choose(entry.name), "data-place": place },
      head,
      curve,
      ...cells,
    );
  };
  const mark = () => {
    const chosen = model.get("chosen");
    const all = names();
    for (const button of all) {
      const isChosen = button.dataset.name === chosen;
      button.setAttribute("aria-pressed", String(isChosen));
      button.tabIndex = isChosen ? 0 : -1;
      button.closest("tr")?.classList.toggle("wbm-chosen", isChosen);
    }
    if (all.length && !all.some((button) => button.tabIndex === 0)) all[0].tabIndex = 0;
  };
  const draw = () => {
    const hadFocus = root.contains(document.activeElement);
    const rows = model.get("rows");
    if (!rows.length) {
      root.replaceChildren(make("p", { class: "wb-empty" }, model.get("empty")));
      return;
    }
    const heads = ["model", "by epoch", ...model.get("heads")].map((text, at) =>
      make(
        "th",
        {
          scope: "col",
          class: at === 0 ? "wb-text" : at === 1 ? "wbm-curve" : kind(at - 2),
        },
        text,
      ),
    );
    root.replaceChildren(
      make(
        "table",
        { class: "wb-table wbm-table" },
        make("thead", {}, make("tr", {}, ...heads)),
        make("tbody", {}, ...rows.map(row)),
      ),
    );
    mark();
    if (hadFocus)
      names()
        .find((button) => button.tabIndex === 0)
        ?.focus();
  };
  root.addEventListener("keydown", (event) => {
    const all = names();
    const place = placeOfFocus(all);
    const to = rowAt(event.key, place, all.length);
    if (to === null || place < 0) return;
    event.preventDefault();
    choose(all[to].dataset.name ?? "");
    all[to].focus();
  });
  model.on("change:rows change:empty", draw);
  model.on("change:chosen", mark);
  draw();
  return () => {
    model.off("change:rows change:empty", draw);
    model.off("change:chosen", mark);
  };
}

export default function modelTable() {
  return { render };
}
