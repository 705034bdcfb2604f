/** The bar above the stage and the status line below it. */
import {
  activeWithin,
  allow,
  icon,
  make,
  setAttribute,
  setText,
} from "../../shared/static/dom.mjs";
import { keyLabel } from "./keys.mjs";

const GROUPS = [
  ["previous", "next", "next-unlabelled"],
  ["select-mode", "undo", "redo", "duplicate", "delete", "nothing-here", "find", "teach"],
  ["zoom-out", "zoom-in", "fit", "actual-size"],
  ["hide", "crosshair", "objects", "filmstrip", "full-screen"],
];
/** @type {Record<string, string>} */
const NAMES = {
  previous: "Previous image",
  next: "Next image",
  "next-unlabelled": "Next image without labels",
  "select-mode": "Select by dragging",
  undo: "Undo",
  redo: "Redo",
  duplicate: "Duplicate",
  delete: "Delete",
  "nothing-here": "Nothing here",
  find: "Suggest boxes",
  teach: "Learn as I go: a model learns from what you review, and suggests the rest",
  "zoom-in": "Zoom in",
  "zoom-out": "Zoom out",
  fit: "Fit",
  "actual-size": "Actual size",
  hide: "Hide or show boxes",
  crosshair: "Crosshair",
  objects: "List of the objects",
  filmstrip: "Filmstrip",
  "full-screen": "Full screen",
  help: "Keys",
};
/** Buttons that say in words what they do. */
const WORDED = new Set(["nothing-here"]);
const WALKING = new Set([
  "previous",
  "next",
  "next-unlabelled",
  "nothing-here",
  "find",
  "teach",
  "filmstrip",
]);

/** A press of the mouse that leaves the focus where it is. @param {Event} event */
function keepFocus(event) {
  event.preventDefault();
}

/**
 * @param {object} options
 * @param {(action: string) => void} options.run
 * @param {() => Record<string, string[]>} options.bindings
 * @param {(index: number) => void} options.go
 * @param {() => void} options.leave give the focus back to the stage
 * @param {() => boolean} options.walks whether there are other images to walk to
 * @param {() => boolean} options.canTeach whether a model may learn meanwhile
 * @param {(name: "brightness"|"contrast", value: number) => void} options.light
 */
export function createToolbar({ run, bindings, go, leave, walks, canTeach, light }) {
  /** @type {Map<string, HTMLButtonElement>} */
  const buttons = new Map();
  /** @param {string} action */
  const button = (action) => {
    const keys = (bindings()[action] ?? []).map(keyLabel);
    const title = NAMES[action] + (keys.length ? ` (${keys.join(", ")})` : "");
    const element = make(
      "button",
      {
        type: "button",
        class: "wb-button",
        "data-action": action,
        "aria-label": NAMES[action],
        title,
        // The stage keeps the focus, so that keys go on working after a click.
        onmousedown: keepFocus,
        onclick: () => element.getAttribute("aria-disabled") !== "true" && run(action),
      },
      icon(action),
      ...(WORDED.has(action) ? [make("span", { class: "wb-word" }, NAMES[action])] : []),
    );
    buttons.set(action, element);
    return element;
  };

  const place = make("input", {
    class: "wb-place",
    type: "text",
    inputmode: "numeric",
    "aria-label": "Number of the image to go to",
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") go(Number(place.value) - 1);
      if (event.key === "Enter" || event.key === "Escape") leave();
    },
    onblur: () => {
      place.value = place.dataset.shown ?? "";
    },
    onfocus: () => place.select(),
  });
  const total = make("span", { class: "wb-total" });
  const position = make("span", { class: "wb-position" }, place, total);
  /** @param {"brightness"|"contrast"} name @param {string} label */
  const slider = (name, label) => {
    const input = make("input", {
      type: "range",
      min: "0.2",
      max: "3",
      step: "0.05",
      value: "1",
      "aria-label": label,
      title: `${label} (double-click: back to 1)`,
      oninput: () => light(name, Number(input.value)),
      ondblclick: () => {
        input.value = "1";
        light(name, 1);
      },
    });
    return input;
  };
  const sliders = {
    brightness: slider("brightness", "Brightness"),
    contrast: slider("contrast", "Contrast"),
  };
  const groups = GROUPS.map((actions) =>
    make(
      "span",
      { class: "wb-group", role: "group" },
      ...actions
        .filter((a) => (walks() || !WALKING.has(a)) && (canTeach() || a !== "teach"))
        .map(button),
    ),
  );
  if (walks()) groups[0].insertBefore(position, buttons.get("next") ?? null);
  const element = make(
    "div",
    { class: "wb-toolbar", role: "toolbar", "aria-label": "Annotate" },
    ...groups,
    make(
      "span",
      { class: "wb-group wb-light", title: "Brightness and contrast" },
      icon("light"),
      sliders.brightness,
      sliders.contrast,
    ),
    make("span", { class: "wb-spring" }),
    button("help"),
  );

  return {
    element,
    /**
     * @param {object} view what to show, see `view.mjs`
     * @param {number} view.index
     * @param {number} view.total
     * @param {Record<string, string>} view.whyNot of the actions that may be impossible; empty: not now
     * @param {Record<string, boolean>} view.pressed
     * @param {number} view.brightness
     * @param {number} view.contrast
     */
    update({ index, total: count, whyNot, pressed, brightness, contrast }) {
      const shown = count ? String(index + 1) : "";
      place.dataset.shown = shown;
      if (activeWithin(element) !== place) place.value = shown;
      setText(total, ` / ${count}`);
      for (const [action, element_] of buttons) {
        if (action in whyNot) allow(element_, whyNot[action]);
        if (action in pressed) setAttribute(element_, "aria-pressed", pressed[action]);
      }
      sliders.brightness.value = String(brightness);
      sliders.contrast.value = String(contrast);
    },
  };
}

const REVIEW = {
  accept: "Accept",
  reject: "Reject",
  "accept-all": "Accept all",
  "reject-all": "Reject all",
};
const OF_SELECTION = ["accept", "reject"];
const USE_BEST = "Use the evaluation's thresholds";
const NO_PREDICTION_SELECTED = "No prediction is selected: click one first.";
const NO_PREDICTION_SHOWN = "No prediction has a score this high: move the slider to the left.";

/**
 * The bar for predictions that wait for review. It lies over the stage, so that nothing
 * moves when it comes and goes.
 * @param {object} options
 * @param {(action: string) => void} options.run
 * @param {(threshold: number, cls: number|null) => void} options.setThreshold while the slider moves; null: of all classes
 * @param {() => void} options.useBest take the thresholds that an evaluation offers
 * @param {() => void} options.done the slider was let go
 */
export function createReviewBar({ run, setThreshold, useBest, done }) {
  const text = make("span", { class: "wb-word" });
  const buttons = Object.entries(REVIEW).map(([action, name]) => {
    const press = () => button.getAttribute("aria-disabled") !== "true" && run(action);
    const button = make(
      "button",
      {
        type: "button",
        class: "wb-choice",
        "data-action": action,
        onmousedown: keepFocus,
        onclick: press,
      },
      name,
    );
    return button;
  });
  const slider = make("input", {
    type: "range",
    min: "0",
    max: "100",
    step: "1",
    "aria-label": "Show predictions from this score on",
    oninput: () => setThreshold(Number(slider.value) / 100, chosen()),
    onchange: done,
  });
  const of = make("select", {
    class: "wb-of-class",
    "aria-label": "Class that the score is for",
    title: "Show one class from a score of its own on; all classes at once take these back",
    onchange: () => showScore(),
  });
  /** @type {{threshold: number, ofClass: Record<number, number>}} */
  let scores = { threshold: 0, ofClass: {} };
  const chosen = () => (of.value === "" ? null : Number(of.value));
  function showScore() {
    const score = scores.ofClass[chosen() ?? -1] ?? scores.threshold;
    setText(from, `from ${Math.round(score * 100)}%`);
    if (activeWithin(element) !== slider) slider.value = String(Math.round(score * 100));
  }
  /** @param {string[]} classes */
  function listClasses(classes) {
    const { ofClass } = scores;
    const texts = ["All classes", ...classes].map((name, place) => {
      const own = ofClass[place - 1];
      return own === undefined ? name : `${name} (${Math.round(own * 100)}%)`;
    });
    of.hidden = classes.length < 2;
    if (texts.length !== of.options.length) {
      of.replaceChildren(
        ...texts.map((_, place) => make("option", { value: place ? String(place - 1) : "" })),
      );
    }
    for (const [place, text] of texts.entries()) setText(of.options[place], text);
  }
  const from = make("span", { class: "wb-from" });
  const bestButton = make(
    "button",
    { type: "button", class: "wb-choice wb-best", onmousedown: keepFocus, onclick: useBest },
    USE_BEST,
  );
  /** @param {Record<number, number>} best @param {string} bestFrom */
  function offerBest(best, bestFrom) {
    const offered = Object.entries(best);
    bestButton.hidden = offered.every(([id, score]) => scores.ofClass[+id] === score);
    const title = `For each class the score with the best F1, from the evaluation of ${bestFrom}`;
    setAttribute(bestButton, "title", title);
  }
  const element = make(
    "div",
    { class: "wb-review", role: "toolbar", "aria-label": "Predictions to review", hidden: true },
    text,
    ...buttons,
    make(
      "label",
      { class: "wb-threshold", title: "Show predictions from this score on" },
      slider,
      from,
    ),
    of,
    bestButton,
  );
  return {
    element,
    /**
     * @param {object} view
     * @param {number} view.all predictions on the image
     * @param {number} view.shown of them, at or above the threshold
     * @param {number} view.selected of them
     * @param {number} view.threshold 0..1
     * @param {Record<number, number>} view.ofClass the same for some classes, in place of it
     * @param {string[]} view.classes
     * @param {Record<number, number>} view.best what an evaluation offers for `ofClass`
     * @param {string} view.bestFrom which one that is
     */
    update({ all, shown, selected, threshold, ofClass, classes, best, bestFrom }) {
      element.hidden = all === 0;
      setText(text, shown < all ? `${shown} of ${all} to review` : `${all} to review`);
      scores = { threshold, ofClass };
      if (activeWithin(element) !== of) listClasses(classes);
      showScore();
      offerBest(best, bestFrom);
      for (const button of buttons) {
        const isOfSelection = OF_SELECTION.includes(button.dataset.action ?? "");
        const none = isOfSelection ? NO_PREDICTION_SELECTED : NO_PREDICTION_SHOWN;
        allow(button, (isOfSelection ? selected : shown) ? "" : none);
      }
    },
  };
}

const SAVE_TEXT = { "": "", saved: "Saved", saving: "Saving…", "not saved": "Not saved" };

/** The line below the stage: image, boxes, zoom, progress, and whether all is saved. */
export function createStatusLine() {
  const [name, size, boxes, zoom, progress] = Array.from({ length: 5 }, () => make("span"));
  name.className = "wb-name";
  for (const spare of [size, zoom]) spare.className = "wb-spare";
  progress.className = "wb-progress";
  const save = make("span", { class: "wb-save", role: "status" });
  const element = make(
    "div",
    { class: "wb-status" },
    name,
    size,
    boxes,
    zoom,
    make("span", { class: "wb-spring" }),
    progress,
    save,
  );
  return {
    element,
    /**
     * @param {{name: string, size: string, boxes: string, zoom: string, progress: string,
     *   saving: {state: keyof typeof SAVE_TEXT, why: string}}} view
     */
    update(view) {
      setText(name, view.name);
      setAttribute(name, "title", view.name);
      setText(size, view.size);
      setText(boxes, view.boxes);
      setText(zoom, view.zoom);
      setText(progress, view.progress);
      setAttribute(progress, "title", view.progress);
      setText(save, SAVE_TEXT[view.saving.state]);
      setAttribute(save, "title", view.saving.why);
      setAttribute(save, "data-state", view.saving.state);
    },
  };
}
