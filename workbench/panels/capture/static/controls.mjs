/** What to capture, and into which dataset: everything that is a setting. */
/** @import { CaptureSettings, SettingName, Split } from "../../types.d.ts" */
import { make, placeOfFocus, setText } from "../../shared/static/dom.mjs";

/** @type {{id: NonNullable<CaptureSettings["mode"]>, text: string, hint: string}[]} */
export const MODES = [
  { id: "hand", text: "By hand", hint: "Tap: one picture. Hold: a burst." },
  { id: "burst", text: "Burst", hint: "Press to start, press to stop." },
  { id: "interval", text: "Interval", hint: "One picture every few seconds." },
  { id: "motion", text: "Motion", hint: "A picture whenever something moves." },
];
/** @type {[string, string][]} */
export const SPLITS = [
  ["train", "train"],
  ["val", "val"],
  ["test", "test"],
  ["train:0.8,val:0.2", "80 % train, 20 % val"],
  ["train:0.7,val:0.2,test:0.1", "70 % train, 20 % val, 10 % test"],
];

/** How a split or ratio of the kernel stands in the list. Pure. @param {Split} split */
export function splitKey(split) {
  if (typeof split === "string") return split;
  return Object.entries(split)
    .map(([name, share]) => `${name}:${share}`)
    .join(",");
}

/** Back again. Pure. @param {string} key @returns {Split} */
export function splitValue(key) {
  if (!key.includes(":")) return key;
  return Object.fromEntries(
    key.split(",").map((part) => [part.split(":")[0], Number(part.split(":")[1])]),
  );
}

/** A number that was typed, or null. Pure. @param {string} text */
export function typedNumber(text, least = 0) {
  const value = Number(String(text).replace(",", "."));
  return String(text).trim() !== "" && Number.isFinite(value) && value >= least ? value : null;
}

/** Where keys lead from a mode. @type {Record<string, number>} */
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
/** What boxes of a model can become. @type {[string, string][]} */
const DETECTIONS = [
  ["off", "Nothing"],
  ["predictions", "Boxes to review"],
  ["labels", "Boxes as labels"],
];

/** @param {{set: (name: SettingName, value: unknown) => void}} options */
export function createControls({ set }) {
  /** @type {HTMLDivElement[]} */
  const rows = [];
  let serial = 0;

  /** @param {string} label @param {HTMLElement} control @param {...HTMLElement} more */
  function row(label, control, ...more) {
    const id = control.id || `wbc-${Math.random().toString(36).slice(2)}-${serial++}`;
    control.id = id;
    const made = make(
      "div",
      { class: "wbc-row" },
      make("label", { for: id }, label),
      make("span", { class: "wbc-value" }, control, ...more),
    );
    rows.push(made);
    return made;
  }
  /**
   * @param {SettingName} name @param {[string, string][]} pairs
   * @param {(value: string) => unknown} convert
   */
  function choice(name, pairs, convert = (value) => value) {
    const select = make("select", {
      class: "wbc-field",
      onchange: () => set(name, convert(select.value)),
    });
    /** @param {[string, string][]} options @param {string} value */
    const fill = (options, value) => {
      const key = JSON.stringify(options);
      if (select.dataset.filled !== key) {
        select.dataset.filled = key;
        select.replaceChildren(...options.map(([id, text]) => make("option", { value: id }, text)));
      }
      if (select.value !== value) select.value = value;
    };
    fill(pairs, pairs[0]?.[0] ?? "");
    return { select, fill };
  }
  /**
   * @param {SettingName} name @param {{least: number, step: number, unit: string}} range
   * @returns {[HTMLInputElement, HTMLElement]} the field, and its unit
   */
  function number(name, { least, step, unit }) {
    const input = make("input", {
      class: "wbc-field wbc-number",
      type: "number",
      min: least,
      step,
      inputmode: "decimal",
      onchange: () => {
        const value = typedNumber(input.value, least);
        input.setAttribute("aria-invalid", String(value === null));
        if (value !== null) set(name, value);
      },
    });
    return [input, make("span", { class: "wbc-unit" }, unit)];
  }

  const modeButtons = MODES.map((mode) =>
    make(
      "button",
      {
        type: "button",
        role: "radio",
        class: "wb-button",
        "data-mode": mode.id,
        title: mode.hint,
        onclick: () => set("mode", mode.id),
      },
      mode.text,
    ),
  );
  const modes = make(
    "div",
    { class: "wbc-modes", role: "radiogroup", "aria-label": "When to take pictures" },
    ...modeButtons,
  );
  modes.addEventListener("keydown", (event) => {
    const by = STEPS[event.key];
    if (!by) return;
    event.preventDefault();
    const place = placeOfFocus(modeButtons);
    const next = modeButtons[(place + by + modeButtons.length) % modeButtons.length];
    next.focus();
    next.click();
  });
  const hint = make("p", { class: "wbc-hint" });

  const dataset = choice("dataset", []);
  const split = choice("split", SPLITS, splitValue);
  const listId = `wbc-classes-${Math.random().toString(36).slice(2)}`;
  const classes = make("datalist", { id: listId });
  const tag = make("input", {
    class: "wbc-field",
    type: "text",
    list: listId,
    placeholder: "nothing said",
    autocomplete: "off",
    onchange: () => set("class_name", tag.value.trim()),
  });
  const [rate, rateUnit] = number("rate", { least: 0, step: 1, unit: "a second (0: all)" });
  const [every, everyUnit] = number("every", { least: 0.1, step: 1, unit: "seconds" });
  const [motion, motionUnit] = number("motion", { least: 0.5, step: 0.5, unit: "of 255" });
  const [until, untilUnit] = number("until", { least: 0, step: 1, unit: "pictures (0: no end)" });
  const [countdown, countdownUnit] = number("countdown", { least: 0, step: 1, unit: "seconds" });
  const similar = make("input", {
    type: "range",
    min: 0,
    max: 10,
    step: 0.5,
    onchange: () => set("min_difference", Number(similar.value)),
    oninput: () => setText(similarText, similarWords(Number(similar.value))),
  });
  const similarText = make("span", { class: "wbc-unit wbc-wide" });
  const sharp = make("input", {
    class: "wbc-field wbc-number",
    type: "number",
    min: 0,
    step: 5,
    onchange: () => {
      const value = typedNumber(sharp.value);
      if (value !== null) set("min_sharpness", value);
    },
  });
  const detections = choice("detections", DETECTIONS);
  const showBoxes = make("input", {
    type: "checkbox",
    onchange: () => set("show_boxes", showBoxes.checked),
  });
  const [sure, sureUnit] = number("confidence", { least: 0.01, step: 0.05, unit: "of 1" });
  const modelName = make("span", { class: "wbc-unit wbc-wide" });

  const datasetRow = row("Dataset", dataset.select);
  row("Split", split.select);
  row("Shows", tag, classes);
  const rateRow = row("Rate", rate, rateUnit);
  const everyRow = row("Every", every, everyUnit);
  const motionRow = row("Change", motion, motionUnit);
  const untilRow = row("Until", until, untilUnit);
  row("Countdown", countdown, countdownUnit);
  const inUse = make("span", { class: "wbc-in-use" });
  const more = make(
    "details",
    { class: "wbc-more" },
    make("summary", {}, "Duplicates, blur, model", inUse),
  );
  const extra = [
    row("Skip alike", similar, similarText),
    row("Blurred below", sharp, make("span", { class: "wbc-unit" }, "sharpness")),
    row("Model", showBoxes, modelName),
    row("Surer than", sure, sureUnit),
    row("Save of it", detections.select),
  ];
  more.append(...extra);
  const element = make(
    "div",
    { class: "wbc-controls" },
    modes,
    hint,
    ...rows.filter((one) => !extra.includes(one)),
    more,
  );

  return {
    element,
    /** @param {CaptureSettings} settings @param {{datasets: string[], asks: boolean, classes: string[], model: string}} known */
    update(settings, { datasets, asks, classes: names, model }) {
      datasetRow.hidden = !asks;
      for (const button of modeButtons) {
        const isChosen = button.dataset.mode === settings.mode;
        button.setAttribute("aria-checked", String(isChosen));
        button.tabIndex = isChosen ? 0 : -1;
      }
      setText(hint, MODES.find((mode) => mode.id === settings.mode)?.hint ?? "");
      /** @type {[string, string][]} */
      const none = [["", datasets.length ? "Choose a dataset" : "There is none yet"]];
      dataset.fill(
        [
          ...(settings.dataset ? [] : none),
          ...datasets.map((name) => /** @type {[string, string]} */ ([name, name])),
        ],
        settings.dataset ?? "",
      );
      const key = splitKey(settings.split ?? "train");
      const isListed = SPLITS.some(([id]) => id === key);
      split.fill(isListed ? SPLITS : [...SPLITS, [key, key.replaceAll(",", ", ")]], key);
      const ids = JSON.stringify(names);
      if (classes.dataset.filled !== ids) {
        classes.dataset.filled = ids;
        classes.replaceChildren(...names.map((name) => make("option", { value: name })));
      }
      /** @type {[HTMLInputElement, SettingName][]} */
      const fields = [
        [tag, "class_name"],
        [rate, "rate"],
        [every, "every"],
        [motion, "motion"],
        [until, "until"],
        [countdown, "countdown"],
        [similar, "min_difference"],
        [sharp, "min_sharpness"],
        [sure, "confidence"],
      ];
      for (const [input, name] of fields) {
        // What is being typed is not overwritten by news about something else.
        if (document.activeElement !== input || input.type === "range")
          input.value = String(settings[name] ?? "");
      }
      setText(similarText, similarWords(settings.min_difference ?? 0));
      detections.fill(DETECTIONS, settings.detections ?? "off");
      setText(
        inUse,
        { off: "", labels: "saves labels", predictions: "saves predictions" }[
          settings.detections ?? "off"
        ],
      );
      showBoxes.checked = Boolean(settings.show_boxes);
      const whyNot = model ? "" : "No model is active: make one active on the page Models.";
      for (const own of [showBoxes, detections.select, sure]) {
        own.disabled = Boolean(whyNot);
        own.title = whyNot;
      }
      setText(modelName, model ? `draw the boxes of ${model}` : "no model is active");
      const mode = settings.mode;
      rateRow.hidden = !["hand", "burst"].includes(mode ?? "");
      everyRow.hidden = mode !== "interval";
      motionRow.hidden = mode !== "motion";
      untilRow.hidden = mode === "hand";
    },
  };
}

/** What a threshold means. Pure. @param {number} value */
export function similarWords(value) {
  if (!(value > 0)) return "keeps all";
  const strength = value <= 1.5 ? "the same" : value <= 4 ? "alike" : "somewhat alike";
  return `below ${value}: ${strength}`;
}
