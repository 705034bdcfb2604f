/** The list of keys, shown by `?`, and the notice over the stage. */
/** @import { KeyAction } from "../../types.d.ts" */
import { make } from "../../shared/static/dom.mjs";
import { keyLabel } from "./keys.mjs";

const HAND = [
  ["Drag", "Draw a box, wherever it starts (Alt: also from a handle)"],
  ["Click", "Select; click again for the box below"],
  ["Shift+click, Shift+drag", "Select more"],
  ["Drag a handle of a clicked box", "Resize it"],
  ["Ctrl+drag", "Move the selected boxes, or select"],
  ["1-9, 0", "Class of the selection and of new boxes"],
  ["Arrows", "Move the selected boxes by 1 pixel, with Shift by 10; without any: other image"],
  ["Alt+arrows", "Move their right and bottom edge, with Shift by 10"],
  ["Right click", "Menu of a box, or of the picture"],
  ["Wheel, pinch", "Zoom to the pointer; the wheel once you clicked here, with Ctrl always"],
  ["Space+drag, middle button, two fingers", "Move the picture"],
  ["Enter in the class field", "Choose the class; Shift+Enter: add it as a new one"],
];

/** @param {{bindings: () => Record<string, string[]>, texts: () => KeyAction[], leave: () => void}} options */
export function createHelp({ bindings, texts, leave }) {
  const body = make("div", { class: "wb-help-body" });
  const close = make(
    "button",
    {
      type: "button",
      class: "wb-button wb-close",
      "aria-label": "Close the list of keys",
      onclick: () => toggle(false),
    },
    "×",
  );
  const element = make(
    "div",
    { class: "wb-help", role: "dialog", "aria-label": "Keys", hidden: true },
    close,
    body,
  );

  /** @param {string[]} keys @param {string} text @param {"kbd"|"span"} tag */
  const line = (keys, text, tag = "kbd") =>
    make(
      "div",
      { class: "wb-help-line" },
      make("span", { class: "wb-keys" }, ...keys.map((key) => make(tag, {}, key))),
      make("span", {}, text),
    );

  function render() {
    const groups = [...new Set(texts().map((item) => item.group))];
    const sections = groups.map((group) =>
      make(
        "section",
        {},
        make("h4", {}, group),
        ...texts()
          .filter((item) => item.group === group && bindings()[item.action]?.length)
          .map((item) => line(bindings()[item.action].map(keyLabel), item.text)),
      ),
    );
    const hand = make(
      "section",
      {},
      make("h4", {}, "Hand"),
      ...HAND.map(([keys, text]) => line([keys], text, "span")),
    );
    body.replaceChildren(hand, ...sections);
  }

  function toggle(open = element.hidden) {
    if (open) render();
    element.hidden = !open;
    if (open) close.focus();
    else leave();
  }

  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || event.key === "?") toggle(false);
  });
  return { element, toggle };
}

/** Milliseconds that a hint stays: time to read one short sentence. */
const HINT_MS = 2500;

/** A sentence over the stage that disappears by itself: why a key did nothing. */
export function createHint() {
  const element = make("div", { class: "wb-hint", hidden: true, "aria-hidden": "true" });
  let timer = 0;
  return {
    element,
    /** @param {string} text */
    show(text) {
      clearTimeout(timer);
      element.textContent = text;
      element.hidden = false;
      timer = setTimeout(() => (element.hidden = true), HINT_MS);
    },
    close() {
      clearTimeout(timer);
    },
  };
}

/** A message over the stage with buttons, which takes no room away from it. */
export function createNotice() {
  const element = make("div", { class: "wb-notice", role: "alert", hidden: true });
  let shown = "";
  return {
    element,
    /** @param {{text: string, tone: "info"|"problem", choices: {text: string, run: () => void}[]}|null} notice */
    update(notice) {
      const mark = notice
        ? JSON.stringify([notice.text, notice.tone, notice.choices.map((c) => c.text)])
        : "";
      if (mark === shown) return;
      shown = mark;
      element.hidden = notice === null;
      element.dataset.tone = notice?.tone ?? "";
      element.replaceChildren(
        ...(notice
          ? [
              make("span", {}, notice.text),
              ...notice.choices.map((choice) =>
                make(
                  "button",
                  { type: "button", class: "wb-choice", onclick: choice.run },
                  choice.text,
                ),
              ),
            ]
          : []),
      );
    },
  };
}
