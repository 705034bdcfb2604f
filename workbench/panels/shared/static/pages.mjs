/** What pages are made of that stand in place of a widget's usual content. */
import { copyBy } from "./copying.mjs";
import { make } from "./dom.mjs";

/** @typedef {Node|string} Content */

/** @param {number} n */
export const count = (n) => n.toLocaleString("en");

/** A number with its words: "1 picture", "2 pictures". @param {number} n @param {string} what */
export const counted = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;

/**
 * A button with words.
 * @param {string} text @param {() => void} onclick
 * @param {Record<string, unknown>} attributes `class` is added to that of all buttons
 */
export function pageButton(text, onclick, attributes = {}) {
  const { class: own = "", ...rest } = attributes;
  return make(
    "button",
    { type: "button", class: `wbp-button ${own}`.trim(), onclick, ...rest },
    text,
  );
}

/** A button that copies what the page is about to do, as Python. @param {string} code */
export function copyAsPython(code) {
  const button = pageButton("Copy as Python", () => copyBy(button, code), {
    "data-keep": "copy",
    title: code,
  });
  return button;
}

/** A part of a page under a heading. @param {string} title @param {...Content} content */
export function part(title, ...content) {
  return make(
    "section",
    { class: "wbp-part", "aria-label": title },
    make("h4", { class: "wbp-heading" }, title),
    ...content,
  );
}

/**
 * A table; the first cell of each row is its head.
 * @param {string} label @param {string[]} heads @param {Content[][]} rows
 * @param {{texts?: number[], marks?: (string|undefined)[]}} options
 *   `texts`: columns of words, besides the first; `marks`: classes of the rows
 */
export function table(label, heads, rows, { texts = [], marks = [] } = {}) {
  /** @param {number} column */
  const kind = (column) => (column === 0 || texts.includes(column) ? "wbp-text" : "wbp-number");
  const body = rows.map((cells, at) =>
    make(
      "tr",
      { class: marks[at] },
      ...cells.map((cell, column) =>
        column === 0
          ? make("th", { scope: "row", class: "wbp-text" }, cell)
          : make("td", { class: kind(column) }, cell),
      ),
    ),
  );
  const head = heads.map((text, column) => make("th", { scope: "col", class: kind(column) }, text));
  return make(
    "div",
    { class: "wbp-scroll", tabindex: "0", role: "region", "aria-label": label },
    make(
      "table",
      { class: "wbp-table" },
      make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...body),
    ),
  );
}

/**
 * A choice among some values, which reports what is chosen.
 * @param {string} label @param {string[][]} values value and words of each
 * @param {string} value @param {(value: string) => void} chosen
 * @param {Record<string, unknown>} attributes
 */
export function choice(label, values, value, chosen, attributes = {}) {
  const select = make(
    "select",
    {
      class: "wbp-field",
      "aria-label": label,
      onchange: () => chosen(select.value),
      ...attributes,
    },
    ...values.map(([own, words]) => make("option", { value: own, selected: own === value }, words)),
  );
  return select;
}

/** A control under its label. @param {string} label @param {HTMLElement} control */
export function labelled(label, control) {
  return make("label", { class: "wbp-labelled" }, make("span", {}, label), control);
}

/**
 * Put other content in place of what is there; the focus, half-typed words and how far it was
 * scrolled stay. Elements are known again by `data-keep`.
 * @param {HTMLElement} element @param {Content[]} content
 */
export function rebuild(element, content) {
  const active = /** @type {HTMLElement|null} */ (document.activeElement);
  const kept = element.contains(active) ? active?.dataset.keep : undefined;
  const typed =
    kept && active instanceof HTMLInputElement && active.value !== active.defaultValue
      ? { value: active.value, start: active.selectionStart, end: active.selectionEnd }
      : null;
  const scrolled = [...element.querySelectorAll("[data-scroll]")].map((own) => [
    own.getAttribute("data-scroll"),
    own.scrollTop,
  ]);
  element.replaceChildren(...content);
  for (const [name, top] of scrolled) {
    const own = element.querySelector(`[data-scroll="${name}"]`);
    if (own) own.scrollTop = Number(top);
  }
  if (kept === undefined) return;
  const again = [...element.querySelectorAll("[data-keep]")].find(
    (own) => /** @type {HTMLElement} */ (own).dataset.keep === kept,
  );
  if (!(again instanceof HTMLElement)) return;
  again.focus({ preventScroll: true });
  if (typed && again instanceof HTMLInputElement) {
    again.value = typed.value;
    if (again.type === "text") again.setSelectionRange(typed.start, typed.end);
  }
}
