/** The slider of a trial: which of the boxes that a model has found are shown. */
/** @import { DetectionRow, FoundMessage, TrialModel } from "../../types.d.ts" */
import { make, setText } from "../../shared/static/dom.mjs";

/** The rows from a confidence on. Pure. @param {DetectionRow[]} rows @param {number} confidence */
export function rowsAbove(rows, confidence) {
  return rows.filter((row) => row[5] >= confidence - 1e-9);
}

/** How many boxes are shown, in words. Pure. @param {number} shown @param {number} all @param {string} by */
export function countWords(shown, all, by) {
  if (!by) return "";
  return `${shown} of ${all} box${all === 1 ? "" : "es"}, by ${by}`;
}

/** @param {{model: TrialModel, show: (rows: DetectionRow[]) => void}} options */
export function createSlider({ model, show }) {
  /** @type {DetectionRow[]} */
  let rows = [];
  let by = "";
  const value = make("span", { class: "wbc-unit" });
  const words = make("span", { class: "wbt-words" });
  const range = make("input", {
    type: "range",
    min: "0.05",
    max: "0.95",
    step: "0.01",
    class: "wbt-range",
    "aria-label": "Confidence from",
    oninput: () => {
      model.set("confidence", Number(range.value));
      model.save_changes();
      refresh();
    },
  });
  const element = make(
    "div",
    { class: "wbt-slider" },
    make("span", {}, "Confidence from"),
    range,
    value,
    words,
  );

  function refresh() {
    const confidence = model.get("confidence");
    if (Number(range.value) !== confidence) range.value = String(confidence);
    range.setAttribute("aria-valuetext", confidence.toFixed(2));
    setText(value, confidence.toFixed(2));
    const shown = rowsAbove(rows, confidence);
    setText(words, countWords(shown.length, rows.length, by));
    show(shown);
  }

  return {
    element,
    refresh,
    /** What the model has found now. @param {FoundMessage} message */
    receive(message) {
      rows = message.rows;
      by = message.by;
      refresh();
    },
  };
}
