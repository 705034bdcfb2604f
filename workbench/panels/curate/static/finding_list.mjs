/** What a health check found, by severity; one of the list is chosen. */
/** @import { Finding, FindingListModel, View } from "../../types.d.ts" */
import { placeOfFocus } from "../../shared/static/dom.mjs";

export const SEVERITIES = [
  { key: "error", sign: "✖", heading: "Errors", meaning: "training goes wrong" },
  { key: "warning", sign: "▲", heading: "Warnings", meaning: "the model gets worse" },
  { key: "info", sign: "ℹ", heading: "Good to know", meaning: "nothing has to be done" },
];

/** Put findings under the headings of their severities; empty headings are left out. @param {Finding[]} findings */
export function grouped(findings) {
  return SEVERITIES.map((severity) => ({
    ...severity,
    findings: findings.filter((finding) => finding.severity === severity.key),
  })).filter((group) => group.findings.length > 0);
}

/**
 * The place in a list to which a key leads; null for other keys.
 * @param {string} key @param {number} place @param {number} length @returns {number | null}
 */
export function stepTo(key, place, length) {
  /** @type {Record<string, number>} */
  const places = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: length - 1 };
  return key in places ? Math.min(Math.max(places[key], 0), length - 1) : null;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {string} text
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function made(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** @param {Finding} finding @param {string} sign @param {boolean} isChosen */
function findingButton(finding, sign, isChosen) {
  const button = made("button", "curate-finding");
  button.type = "button";
  button.dataset.kind = finding.kind;
  button.setAttribute("aria-pressed", String(isChosen));
  const mark = made("span", "curate-sign", sign);
  mark.setAttribute("aria-hidden", "true");
  const words = made("span", "curate-words");
  words.append(
    made("span", "curate-title", finding.title),
    made("span", "curate-why", finding.why),
  );
  button.append(mark, words);
  return button;
}

/** @param {View<FindingListModel>} view */
function render({ model, el }) {
  const root = made("div", "curate-findings");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Findings");
  el.append(root);

  const buttons = () => [...root.querySelectorAll("button")];
  const focusedPlace = () => placeOfFocus(buttons());
  const draw = () => {
    const focused = root.contains(document.activeElement);
    const place = focusedPlace();
    const groups = grouped(model.get("findings"));
    const sections = groups.map((group) => {
      const section = made("section", `curate-group curate-${group.key}`);
      const heading = made("h4", "curate-heading", `${group.heading} (${group.findings.length})`);
      heading.append(made("span", "curate-meaning", group.meaning));
      section.append(heading);
      for (const finding of group.findings) {
        section.append(findingButton(finding, group.sign, finding.kind === model.get("chosen")));
      }
      return section;
    });
    const empty = made("p", "wb-empty", model.get("empty"));
    root.replaceChildren(...(sections.length ? sections : [empty]));
    if (focused) buttons()[Math.min(place, buttons().length - 1)]?.focus();
  };
  const mark = () => {
    for (const button of buttons()) {
      button.setAttribute("aria-pressed", String(button.dataset.kind === model.get("chosen")));
    }
  };
  root.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("button");
    if (!button) return;
    model.set("chosen", button.dataset.kind ?? "");
    model.save_changes();
  });
  root.addEventListener("keydown", (event) => {
    const all = buttons();
    const to = stepTo(event.key, focusedPlace(), all.length);
    if (to === null) return;
    event.preventDefault();
    all[to]?.focus();
  });
  model.on("change:findings change:empty", draw);
  model.on("change:chosen", mark);
  draw();
  return () => {
    model.off("change:findings change:empty", draw);
    model.off("change:chosen", mark);
  };
}

export default function findingList() {
  return { render };
}
