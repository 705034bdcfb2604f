/** The small forms of *Suggest boxes*: weights on disk, and the words of the classes. */
/** @import { Do } from "../../types.d.ts" */
import { make } from "../../shared/static/dom.mjs";
import { createForm } from "./popup.mjs";

/**
 * The words of each class, a line for each.
 * @param {string[]} classes @param {Record<string, string[]>} words by class id
 */
export function linesOf(classes, words) {
  return classes
    .map((name, id) => `${name}: ${(words[id] ?? [name.replaceAll("_", " ")]).join(", ")}`)
    .join("\n");
}

/**
 * @param {object} options
 * @param {HTMLElement} options.menu whose items open them
 * @param {(action: string, more: Partial<Omit<Do, "kind" | "action">>) => void} options.act
 * @param {() => string[]} options.classes
 * @param {() => Record<string, string[]>} options.words what is looked for by class id, where it is not its name
 */
export function createSuggestForms({ menu, act, classes, words }) {
  const path = make("input", {
    class: "wbg-text",
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": "Weights file",
    placeholder: "runs/detect/train/weights/best.pt",
  });
  const mapping = make("input", {
    class: "wbg-text",
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": "Its classes that are called otherwise here",
    placeholder: "kitty = cat, dog =",
  });
  const weights = createForm(menu, {
    name: "Weights on disk",
    action: "Suggest boxes",
    content: [
      make("label", { class: "wbg-form-label" }, "Weights file", path),
      make("div", { class: "wbg-hint" }, "On the machine of the kernel. No code in it runs."),
      make(
        "label",
        { class: "wbg-form-label" },
        "Its classes that are called otherwise here",
        mapping,
      ),
      make(
        "div",
        { class: "wbg-hint" },
        "The others are found by their names, and what was found is said with the boxes. A class " +
          "with nothing behind = is left out.",
      ),
    ],
    focus: path,
    run() {
      if (!path.value.trim()) return false;
      act("suggest", { how: "weights", name: path.value, text: mapping.value });
      return true;
    },
  });
  const lines = make("textarea", {
    class: "wbg-text wbg-lines",
    rows: "6",
    spellcheck: "false",
    "aria-label": "Words of each class",
  });
  const told = createForm(menu, {
    name: "The classes in other words",
    action: "Save, and suggest boxes",
    content: [
      make("label", { class: "wbg-form-label" }, "Words of each class", lines),
      make(
        "div",
        { class: "wbg-hint" },
        "A line for each class, words with commas between. They are kept with the dataset.",
      ),
    ],
    focus: lines,
    opened: () => {
      lines.value = linesOf(classes(), words());
    },
    run() {
      act("suggest", { how: "words", text: lines.value });
      return true;
    },
  });
  return {
    items: () => [
      { text: "Weights on disk …", run: () => weights.open() },
      { text: "The classes in other words …", run: () => told.open() },
    ],
  };
}
