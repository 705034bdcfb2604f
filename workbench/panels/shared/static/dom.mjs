/** Small helpers for building the widget's elements. */

/**
 * Make an element. `attributes` with a function value become listeners (`onclick` and so on);
 * `whyNot`, if there is any, disables it and says why.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Record<string, any>} attributes @param {...(Node|string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  const { whyNot = "", ...others } = attributes;
  const refused = whyNot ? { disabled: true, title: whyNot } : {};
  for (const [name, value] of Object.entries({ ...others, ...refused })) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children);
  return element;
}

/**
 * The element that has the focus in the document or shadow tree of another one.
 * @param {Element} element
 */
export function activeWithin(element) {
  return /** @type {Document|ShadowRoot} */ (element.getRootNode()).activeElement;
}

/**
 * The place in a list of the element that has the focus; -1: none of them.
 * @param {HTMLElement[]} elements
 */
export function placeOfFocus(elements) {
  return elements.indexOf(/** @type {HTMLElement} */ (document.activeElement));
}

/**
 * Set a text if it is another one: what does not change costs no layout.
 * @param {Element} element @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Likewise an attribute. @param {Element} element @param {string} name @param {unknown} value */
export function setAttribute(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** What controls say that cannot be used now, when they can be. @type {WeakMap<Element, string>} */
const titles = new WeakMap();

/**
 * Let a control be used, or say on it why not. It is not `disabled`: that would drop the focus,
 * and the next key would reach the notebook.
 * @param {HTMLElement} control @param {string} whyNot empty: it can be used
 * @param {string} [title] what it does; by itself: the title that it has
 */
export function allow(control, whyNot, title) {
  if (title !== undefined || !titles.has(control)) titles.set(control, title ?? control.title);
  setAttribute(control, "aria-disabled", Boolean(whyNot));
  setAttribute(control, "title", whyNot || (titles.get(control) ?? ""));
}

/** Line drawings, 16 x 16, stroked in the text colour. @type {Record<string, string>} */
const ICONS = {
  previous: "M10 3 5 8l5 5",
  next: "M6 3l5 5-5 5",
  "next-unlabelled": "M3 3l5 5-5 5M8 3l5 5-5 5",
  undo: "M6 3 3 6l3 3M3 6h6a4 4 0 0 1 0 8H6",
  refresh: "M13 3v3.5H9.5M12.7 6.3a5 5 0 1 0 .3 2.7",
  redo: "M10 3l3 3-3 3M13 6H7a4 4 0 0 0 0 8h3",
  delete: "M3 4h10M6 4V2.5h4V4M4.5 4l.6 9.5h5.8l.6-9.5M7 7v4M9 7v4",
  duplicate: "M2.5 2.5h8v8h-8zM13.5 5.5v8h-8",
  find: "M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3M8 4.8l1 2.2 2.2 1-2.2 1-1 2.2-1-2.2-2.2-1 2.2-1z",
  teach: "M1.5 6.5 8 3.5l6.5 3L8 9.5zM4 8v3c2 1.7 6 1.7 8 0V8M14.5 6.5v4",
  "nothing-here": "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11M4.2 11.8l7.6-7.6",
  hide: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4",
  "zoom-in": "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3 14 14M7 5v4M5 7h4",
  "zoom-out": "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3 14 14M5 7h4",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  "full-screen": "M9.5 6.5l4-4M10 2.5h3.5V6M6.5 9.5l-4 4M2.5 10v3.5H6",
  objects: "M2.5 4h.5M2.5 8h.5M2.5 12h.5M6 4h7.5M6 8h7.5M6 12h7.5",
  filmstrip: "M1.5 4h13v8h-13zM5.8 4v8M10.2 4v8",
  lock: "M4 7.5h8v6H4zM5.8 7.5V5a2.2 2.2 0 0 1 4.4 0v2.5",
  unlock: "M4 7.5h8v6H4zM5.8 7.5V4.6a2.2 2.2 0 0 1 4.2-.9",
  hidden: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8M3 13.5l10-11",
  "actual-size": "M3 5.5 5 4v8M11 5.5 13 4v8M8 6.5v.1M8 10v.1",
  crosshair: "M8 1.5v13M1.5 8h13",
  "select-mode": "M3 2l9.5 5.2-4.2 1.2-2 4.1z",
  light:
    "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.4 1.4M11.6 11.6 13 13M13 3l-1.4 1.4M4.4 11.6 3 13",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.3 10.3 14 14",
  grid: "M2.5 2.5h4.5v4.5H2.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5H2.5zM9 9h4.5v4.5H9z",
  crop: "M4.5 1.5v10h10M1.5 4.5h10v10",
  boxes: "M2.5 2.5h7v7h-7zM6.5 6.5h7v7h-7z",
  pencil: "M3 13l.7-3L10.8 2.9l2.3 2.3L6 12.3zM9.3 4.4l2.3 2.3",
  move: "M1.5 3.5h5l1.5 2h6.5v8h-13zM5.5 9.5h5M8.5 7.5l2 2-2 2",
  tag: "M2.5 2.5h5.5l5.5 5.5-5.5 5.5L2.5 8zM5.3 5.3v.1",
  archive: "M8 10V2M5 5l3-3 3 3M2.5 10v3.5h11V10",
  more: "M3.5 8v.1M8 8v.1M12.5 8v.1",
  plus: "M8 3v10M3 8h10",
  help: "M5.8 6a2.2 2.2 0 1 1 3.4 1.9c-.8.5-1.2 1-1.2 1.9M8 12.4v.1",
};

/** @param {string} name */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", "0 0 16 16");
  drawing.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  drawing.append(path);
  return drawing;
}
