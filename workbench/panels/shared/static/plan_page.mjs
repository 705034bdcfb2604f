/** The plan of an import before anything is written; each choice plans it anew. */
/** @import { PlanClass, PlanPage, Send } from "../../types.d.ts" */

import { ledgerRows, noteList, unitCards } from "./account_page.mjs";
import { classColour } from "./colours.mjs";
import { make } from "./dom.mjs";
import {
  choice,
  copyAsPython,
  count,
  counted,
  labelled,
  pageButton,
  part,
  table,
} from "./pages.mjs";

const SPLITS = ["train", "val", "test"];

/** @param {PlanPage} page @param {Send} send */
export function planPage(page, send) {
  const pictures = page.units.find((own) => own.unit === "pictures");
  const taken = pictures?.taken ?? 0;
  const isOpen = page.questions.length > 0;
  const sure = Math.round(page.sure * 100);
  const body = [
    ...(isOpen ? [question(page, send)] : []),
    destination(page, send),
    unitCards(page.units),
    make(
      "div",
      { class: "wbp-columns" },
      classes(page, send),
      make(
        "div",
        { class: "wbp-stack" },
        // None of its pictures goes anywhere where they are all in the dataset already.
        ...(page.splits.length ? [splits(page, send)] : []),
        pairs(page),
      ),
    ),
    part("What is odd about it", ledgerRows(page.rows, send)),
    ...(page.notes.length ? [part("Further notes", noteList(page.notes))] : []),
    choices(page, send),
  ];
  const verb = page.into ? `Import into ${page.into}` : `Import ${counted(taken, "picture")}`;
  const foot = [
    pageButton(verb, () => send({ kind: "import", action: "apply" }), {
      class: "wbp-primary",
      "data-keep": "apply",
      whyNot: isOpen ? "Answer the question above first." : "",
      title: "All of it, or nothing at all (Ctrl+Enter)",
    }),
    pageButton("Cancel", () => send({ kind: "import", action: "close" }), { "data-keep": "close" }),
    copyAsPython(page.code),
    make("span", { class: "wbp-small" }, "Nothing has been written yet."),
  ];
  return {
    title: `Import ${page.title}`,
    words: `${page.format}, ${sure} % sure: ${page.reason}`,
    body,
    foot,
  };
}

/** @param {PlanPage} page @param {Send} send */
function question(page, send) {
  return make(
    "section",
    { class: "wbp-question", role: "alert", "aria-label": "A question" },
    make("h4", { class: "wbp-heading" }, "A question first"),
    ...page.questions.map((text) => make("p", {}, text)),
    make(
      "div",
      { class: "wbp-line" },
      ...page.answers.map(([key, value, words]) =>
        pageButton(words, () => send({ kind: "import", action: "choose", key, value }), {
          "data-keep": `answer ${value}`,
        }),
      ),
    ),
  );
}

const HAS_A_NAME = "It goes into a dataset that has a name: choose “A new dataset” first.";
const NEW_CHOSEN = "It becomes a new dataset: choose “Into the dataset” first.";

/** @param {PlanPage} page @param {Send} send */
function destination(page, send) {
  const group = `wbp-into-${Math.random().toString(36).slice(2, 8)}`;
  const [first = ""] = page.datasets;
  const name = make("input", {
    class: "wbp-field",
    type: "text",
    spellcheck: "false",
    value: page.name,
    "aria-label": "Name of the new dataset",
    "data-keep": "name",
    whyNot: page.into ? HAS_A_NAME : "",
    onchange: () => send({ kind: "import", action: "rename", name: name.value }),
  });
  const into = choice(
    "Dataset to import into",
    page.datasets.map((own) => [own, own]),
    page.into || first,
    (dataset) => send({ kind: "import", action: "aim", dataset }),
    { "data-keep": "into", whyNot: page.into ? "" : NEW_CHOSEN },
  );
  /** @param {string} words @param {boolean} isOn @param {string} dataset @param {string} keep */
  const radio = (words, isOn, dataset, keep) =>
    make(
      "label",
      { class: "wbp-radio" },
      make("input", {
        type: "radio",
        name: group,
        checked: isOn,
        "data-keep": keep,
        onchange: () => send({ kind: "import", action: "aim", dataset }),
      }),
      words,
    );
  return part(
    "Where it goes",
    make(
      "div",
      { class: "wbp-line" },
      radio("A new dataset", !page.into, "", "radio new"),
      name,
      ...(first
        ? [radio("Into the dataset", Boolean(page.into), page.into || first, "radio into"), into]
        : []),
    ),
    ...(page.facts ?? []).map((text) => make("p", { class: "wbp-small" }, text)),
  );
}

/** @param {PlanPage} page @param {Send} send */
function classes(page, send) {
  const known = `wbp-known-${Math.random().toString(36).slice(2, 8)}`;
  const names = [...new Set([...page.known, ...page.classes.map((own) => own.name)])];
  const rows = page.classes.map((own) => classRow(own, known, send));
  const marks = page.classes.map((own) => (own.to === null ? "wbp-gone" : undefined));
  return part(
    counted(page.classes.length, "class").replace("classs", "classes"),
    make("datalist", { id: known }, ...names.map((name) => make("option", { value: name }))),
    rows.length
      ? table("Classes", ["Class", "Boxes found", "Becomes", "Id", "Take"], rows, {
          texts: [2],
          marks,
        })
      : make("p", { class: "wbp-none" }, "No class: nothing is labelled."),
  );
}

/** @param {PlanClass} own @param {string} known @param {Send} send */
function classRow({ name, boxes, to, number, near }, known, send) {
  /** @param {string|null} value */
  const become = (value) =>
    send({ kind: "import", action: "choose", key: "class", value: [name, value] });
  const input = make("input", {
    class: "wbp-field",
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    value: to ?? name,
    list: known,
    whyNot: to === null ? `${name} is left out: tick it to take it.` : "",
    "aria-label": `${name} becomes`,
    "data-keep": `class ${name}`,
    onchange: () => become(input.value.trim() || name),
  });
  const take = make("input", {
    type: "checkbox",
    checked: to !== null,
    "aria-label": `Take ${name}`,
    "data-keep": `take ${name}`,
    onchange: () => become(take.checked ? name : null),
  });
  const dot = make("span", {
    class: "wbp-dot",
    style: number === null ? "" : `background:${classColour(number).fill}`,
  });
  const offer = pageButton(`It is ${near}`, () => become(near), {
    class: "wbp-quiet",
    "data-keep": `near ${name}`,
    title: `${near} is in the dataset, and ${to} would be new beside it`,
  });
  return [
    make("span", {}, dot, name),
    count(boxes),
    near ? make("span", { class: "wbp-line" }, input, offer) : input,
    number === null ? "" : String(number),
    take,
  ];
}

/** @param {PlanPage} page @param {Send} send */
function splits(page, send) {
  const rows = page.splits.map(({ split, images, labelled: own, boxes, to }) => [
    split,
    count(images),
    count(own),
    count(boxes),
    choice(
      `${split} goes to`,
      SPLITS.map((name) => [name, name]),
      to,
      (value) => send({ kind: "import", action: "choose", key: "split", value: [split, value] }),
      { "data-keep": `split ${split}` },
    ),
  ]);
  return part(
    "Splits",
    table("Splits", ["Split", "Pictures", "Labelled", "Boxes taken", "Goes to"], rows),
  );
}

/** @param {PlanPage} page */
function pairs(page) {
  const words = page.pairs.length
    ? page.pairs.map((own) => `${own.rule} (${count(own.count)})`).join(", ")
    : "no annotations were paired with pictures";
  return part(
    "How annotations found their pictures",
    make("p", {}, `By ${words}.`.replace("By no", "No")),
  );
}

/** @param {PlanPage} page @param {Send} send */
function choices(page, send) {
  const fields = page.choices.map(({ key, label, values, value }) =>
    labelled(
      label,
      choice(
        label,
        values,
        value,
        (next) => send({ kind: "import", action: "choose", key, value: next }),
        { "data-keep": `choice ${key}` },
      ),
    ),
  );
  return part("Choices", make("div", { class: "wbp-fields" }, ...fields));
}
