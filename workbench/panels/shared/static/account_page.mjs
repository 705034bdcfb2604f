/** The account of an import: what was found, taken and left, and what it was about. */
/** @import { AccountsPage, AccountPage, ErrorPage, LedgerRow, LedgerUnit, Send } from "../../types.d.ts" */
import { make } from "./dom.mjs";
import { count, counted, pageButton, part, table } from "./pages.mjs";

/** @type {Record<string, string>} */
const OUTCOMES = { left: "Left out", repaired: "Put right", noted: "Note" };

/** found = taken + left, a card for each unit. @param {LedgerUnit[]} units */
export function unitCards(units) {
  const cards = [...units]
    .reverse()
    .map(({ unit, found, taken, repaired, left }) =>
      make(
        "div",
        { class: "wbp-card", "data-unit": unit },
        make("span", { class: "wbp-big" }, count(taken)),
        make("span", {}, ` ${taken === 1 ? unit.slice(0, -1) : unit} taken`),
        make(
          "div",
          { class: "wbp-small" },
          `of ${count(found)} found`,
          repaired ? `, ${count(repaired)} put right` : "",
        ),
        make(
          "div",
          { class: left ? "wbp-small wbp-left" : "wbp-small" },
          left ? `${count(left)} left out` : "none left out",
        ),
      ),
    );
  return make("div", { class: "wbp-cards" }, ...cards);
}

/**
 * A line for each kind of what was left, repaired or noted; each can be looked at.
 * @param {LedgerRow[]} rows @param {Send} send
 */
export function ledgerRows(rows, send) {
  if (rows.length === 0)
    return make("p", { class: "wbp-none" }, "Nothing odd: all of it is as the format says.");
  return make("ul", { class: "wbp-rows" }, ...rows.map((row) => ledgerRow(row, send)));
}

/** @param {LedgerRow} row @param {Send} send */
function ledgerRow({ key, text, lines, pictures, shown }, send) {
  const name = key.join(" ");
  const outcome = key[1];
  const buttons = [];
  if (pictures)
    buttons.push(
      pageButton(
        `Show me the ${counted(pictures, "picture")}`,
        () => send({ kind: "import", action: "pictures", key }),
        { class: "wbp-quiet", "data-keep": `pictures ${name}` },
      ),
    );
  if (lines)
    buttons.push(
      pageButton(
        shown ? "Hide the lines" : `Show the ${counted(lines, "line")}`,
        () => send({ kind: "import", action: "lines", key: shown ? null : key }),
        { class: "wbp-quiet", "data-keep": `lines ${name}`, "aria-expanded": String(!!shown) },
      ),
    );
  return make(
    "li",
    { class: "wbp-row", "data-outcome": outcome },
    make("span", { class: "wbp-outcome" }, OUTCOMES[outcome] ?? outcome),
    make("span", { class: "wbp-sentence" }, text),
    make("span", { class: "wbp-row-buttons" }, ...buttons),
    ...(shown ? [lineTable(shown, lines)] : []),
  );
}

/** @param {string[][]} shown @param {number} all */
function lineTable(shown, all) {
  const more = all - shown.length;
  return make(
    "div",
    { class: "wbp-lines" },
    table("Lines", ["File", "Line or element", "Picture", "Split", "What it says"], shown, {
      texts: [2, 3, 4],
    }),
    ...(more > 0
      ? [
          make(
            "p",
            { class: "wbp-small" },
            `And ${count(more)} more: the ledger in Python has all.`,
          ),
        ]
      : []),
  );
}

/** @param {string[]} notes */
export function noteList(notes) {
  return make("ul", { class: "wbp-notes" }, ...notes.map((text) => make("li", {}, text)));
}

/** @param {AccountPage} page @param {Send} send @param {string} back */
export function accountPage(page, send, back) {
  /** @param {string} action */
  const act = (action) => () => send({ kind: "import", action });
  const undo = () => send({ kind: "import", action: "undo", confirmed: true });
  const splits = page.by_split.map((own) => [
    own.split,
    count(own.pictures),
    count(own.annotations),
    count(own.left),
  ]);
  const files = page.by_file.map((own) => [
    own.file,
    count(own.left),
    count(own.repaired),
    count(own.noted),
  ]);
  const units = page.units.map(({ unit, found, taken, repaired, left }) => [
    unit,
    count(found),
    `= ${count(taken)}`,
    `+ ${count(left)}`,
    count(repaired),
  ]);
  const warning = `${page.confirm}. Undoing moves all of it to the trash of the home page.`;
  const body = [
    ...(page.confirm
      ? [
          make(
            "div",
            { class: "wbp-question", role: "alert" },
            make("p", {}, warning),
            pageButton("Undo it all the same", undo, { "data-keep": "undo-all" }),
          ),
        ]
      : []),
    unitCards(page.units),
    part("What was left out, put right or is worth a look", ledgerRows(page.rows, send)),
    ...(page.notes.length ? [part("Further notes", noteList(page.notes))] : []),
    make(
      "div",
      { class: "wbp-columns" },
      part(
        "Found = taken + left",
        table("Found = taken + left", ["", "Found", "Taken", "Left out", "Put right"], units),
      ),
      part("By split", table("By split", ["Split", "Pictures", "Annotations", "Left out"], splits)),
    ),
    ...(files.length
      ? [
          part(
            "By file or picture",
            table(
              "By file or picture",
              ["File or picture", "Left out", "Put right", "Notes"],
              files,
            ),
          ),
        ]
      : []),
  ];
  const foot = [
    pageButton(`Open ${page.dataset}`, act("dataset"), {
      class: "wbp-primary",
      "data-keep": "dataset",
    }),
    pageButton("Undo this import", act("undo"), {
      "data-keep": "undo",
      title: "Take all of it back, as one",
      whyNot: page.can_undo
        ? page.confirm && "Answer the question above first."
        : "It was undone already, or the way back is not known.",
    }),
    pageButton(back, act("close"), { "data-keep": "close" }),
  ];
  return {
    title: page.fresh ? `Imported into ${page.dataset}` : `An import into ${page.dataset}`,
    words: `${page.format}, from ${page.title}, ${page.at}`,
    body,
    foot,
  };
}

/** @param {AccountsPage} page @param {Send} send @param {string} back */
export function accountsPage(page, send, back) {
  const rows = page.rows.map(({ id, at, source, format, units }) => {
    const [, pictures, annotations] = units;
    return [
      pageButton(at, () => send({ kind: "import", action: "account", id }), {
        class: "wbp-link",
        "data-keep": id,
      }),
      source,
      format,
      count(pictures.taken),
      count(annotations.taken),
      count(annotations.left),
    ];
  });
  const heads = ["When", "From", "Format", "Pictures", "Annotations", "Annotations left out"];
  return {
    title: `Imports into ${page.dataset}`,
    words: rows.length ? "Open one to see its account." : "",
    body: [
      rows.length
        ? table("Imports", heads, rows, { texts: [1, 2] })
        : make("p", { class: "wbp-none" }, "Nothing was imported into this dataset yet."),
    ],
    foot: [
      pageButton(back, () => send({ kind: "import", action: "close" }), {
        "data-keep": "close",
      }),
    ],
  };
}

/** @param {ErrorPage} page @param {Send} send @param {string} back */
export function errorPage(page, send, back) {
  return {
    title: "This cannot be imported",
    words: page.title,
    body: [
      make("p", { class: "wbp-problem", role: "alert" }, page.text),
      make("p", { class: "wbp-none" }, "Nothing was written."),
    ],
    foot: [
      pageButton(back, () => send({ kind: "import", action: "close" }), {
        class: "wbp-primary",
        "data-keep": "close",
      }),
    ],
  };
}
