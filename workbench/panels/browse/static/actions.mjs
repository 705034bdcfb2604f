/** The action bar: what is shown, what is selected, and what can be done to it. */
/** @import { Do, GalleryMessage, GalleryMode, TransferAction } from "../../types.d.ts" */
import { classColour } from "../../shared/static/colours.mjs";
import { allow, icon, make } from "../../shared/static/dom.mjs";
import { keyOf } from "../../shared/static/letters.mjs";
import { className } from "./cells.mjs";
import { createDialog, createMenu, createPrompt } from "./popup.mjs";
import { createSuggestForms } from "./suggest_forms.mjs";

/** @type {[GalleryMode, string, string, string][]} */
const MODES = [
  ["images", "Images", "grid", "Whole images"],
  [
    "objects",
    "Objects",
    "crop",
    "Every box as a crop of its own (of the classes that the filter names)",
  ],
  [
    "suggested",
    "Suggested",
    "find",
    "What models propose, each as a crop: choose the wrong ones and accept the rest",
  ],
  ["trash", "Trash", "delete", "What was deleted, to be restored"],
];
/** Where keys lead from a mode. @type {Record<string, number>} */
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
/** Held down, these would go on with what nobody has seen. */
const ONCE = new Set(["Delete", "Backspace", "Enter", "i", "b", "r"]);
/** Orders of what is suggested. @type {[string, string][]} */
const ORDERS = [
  ["surest", "Surest first"],
  ["doubtful", "Most doubtful first"],
  ["images", "By image"],
];
/** What is like some boxes, and on which images. @type {[string, string, string][]} */
const SIMILAR = [
  ["similar", "unlabelled", "Like these, on images without labels"],
  ["similar", "all", "Like these, on all images"],
  ["pixels", "unlabelled", "The same pixels, on images without labels"],
  ["pixels", "all", "The same pixels, on all images"],
];
const NONE_CHOSEN = "Choose some first: click one, or press Ctrl+A for all.";
const NOTHING_THERE = "Nothing is listed here.";
const SPLIT_NAMES = ["train", "val", "test"];

/**
 * @param {string|null} text
 * @param {string|null} drawing
 * @param {string} title
 * @param {(() => unknown)|null} onclick
 * @param {Record<string, string>} extra
 */
function button(text, drawing, title, onclick, extra = {}) {
  /** @type {Element[]} */
  const parts = drawing ? [icon(drawing)] : [];
  if (text) parts.push(make("span", { class: "wbg-word" }, text));
  return make(
    "button",
    { type: "button", class: "wb-button", title, "aria-label": text || title, onclick, ...extra },
    ...parts,
  );
}

/**
 * @param {object} options
 * @param {(message: GalleryMessage) => void} options.send
 * @param {Pick<ReturnType<typeof import("./grid.mjs").createGrid>, "selectAll"|"inSight"|"invert"|"selectNone"|"noteOpened"|"setWish">} options.grid
 * @param {() => string[]} options.classes
 * @param {() => string[]} options.colours of those that have one of their own
 * @param {() => {text: string, how: string, name: string, where?: string}[]} options.labellers who can suggest boxes
 * @param {() => Record<string, string[]>} options.words what is looked for by class id
 * @param {() => Record<string, string>} options.offer files that could be fetched for that
 * @param {(on: boolean) => void} options.showBoxes
 * @param {(files: File[]) => void} options.upload
 * @param {(message: TransferAction) => void} options.transfer opens a page of imports or exports
 * @param {() => void} options.expect a page may open that was asked for here
 */
export function createActions({
  send,
  grid,
  classes,
  colours,
  labellers,
  words,
  offer,
  showBoxes,
  upload,
  transfer,
  expect,
}) {
  /** @param {string} action @param {Partial<Omit<Do, "kind" | "action">>} more */
  const act = (action, more = {}) => send({ kind: "do", action, ...more });
  /** @type {{mode: GalleryMode, count: number, total: number, undo: string, dataset: string, tags: string[]}} */
  let state = { mode: "images", count: 0, total: 0, undo: "", dataset: "", tags: [] };
  let boxesOn = true;
  /** @type {HTMLElement[]} */
  const needsSelection = [];
  /** @param {HTMLElement} own */
  const chosen = (own) => {
    needsSelection.push(own);
    return own;
  };
  /** @type {HTMLElement[]} */
  const needsSome = [];
  /** @param {HTMLElement} own */
  const listed = (own) => {
    needsSome.push(own);
    return own;
  };
  /** @param {() => void} run */
  const guarded = (run) => () => state.count > 0 && run();

  const modes = MODES.map(([mode, text, drawing, title]) =>
    button(text, drawing, title, () => send({ kind: "mode", mode }), {
      role: "radio",
      "data-mode": mode,
    }),
  );
  const modeGroup = make(
    "div",
    { class: "wbg-modes", role: "radiogroup", "aria-label": "What is shown" },
    ...modes,
  );
  modeGroup.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step) return;
    const place = modes.findIndex((own) => own.contains(/** @type {Node} */ (event.target)));
    const next = modes[(place + step + modes.length) % modes.length];
    next.focus();
    next.click();
    event.preventDefault();
    event.stopPropagation();
  });

  const count = make("span", { class: "wbg-selected", role: "status" });
  const selecting = make(
    "div",
    { class: "wbg-group", role: "group", "aria-label": "Selection" },
    listed(button("All", null, "Select all that match (Ctrl+A)", () => grid.selectAll())),
    listed(button("Invert", null, "Select what is not selected (I)", () => grid.invert())),
    chosen(button("None", null, "Select nothing (Esc)", () => grid.selectNone())),
    count,
  );

  const annotate = chosen(
    button(
      "Annotate",
      "pencil",
      "Open the selected images in the annotator",
      guarded(() => {
        grid.noteOpened();
        act("annotate");
      }),
    ),
  );
  const suggest = createMenu({
    button: chosen(
      button(
        "Suggest boxes",
        "find",
        "Have a model propose boxes on the selected images, to be reviewed",
        null,
      ),
    ),
    name: "Suggest boxes",
    items() {
      const asking = labellers().map(({ text, ...wish }) => ({
        text,
        run: () => act("suggest", wish),
      }));
      return [...fetching(), ...asking, ...forms.items()];
    },
  });
  const forms = createSuggestForms({ menu: suggest.element, act, classes, words });
  const fetching = () => {
    const { choice } = offer();
    return choice ? [{ text: choice, run: () => act("fetch_files") }] : [];
  };
  const similar = createMenu({
    button: chosen(
      button("Find similar", "find", "Have what is like the selected boxes proposed", null),
    ),
    name: "Find similar",
    items: () => [
      ...fetching(),
      ...SIMILAR.map(([how, images, text]) => ({
        text,
        run: () => act("suggest", { how, images }),
      })),
    ],
  });
  const move = createMenu({
    button: chosen(button("Move to", "move", "Move to another split", null)),
    name: "Move to",
    items: () => SPLIT_NAMES.map((split) => ({ text: split, run: () => act("move", { split }) })),
  });
  const tag = createPrompt({
    button: chosen(button("Tag", "tag", "Add a tag to the selected images", null)),
    label: "Tag",
    action: "Add tag",
    hint: "Find them again with tag:NAME",
    known: () => state.tags,
    run: (text) => act("tag", { tag: text }),
  });
  const background = chosen(
    button(
      "Background",
      "nothing-here",
      "Mark as background: reviewed, nothing in it",
      guarded(() => act("background")),
    ),
  );
  const remove = chosen(
    button(
      "Delete",
      "delete",
      "Move to the trash (Del)",
      guarded(() => act("delete")),
    ),
  );
  const untag = () =>
    state.tags.map((name) => ({
      text: `Remove tag “${name}”`,
      run: () => act("untag", { tag: name }),
    }));
  const copy = createPrompt({
    button: chosen(
      button("Copy", "duplicate", "Copy the selected images into a new dataset", null),
    ),
    label: "Name of the new dataset",
    action: "Copy",
    value: () => `${state.dataset}-copy`,
    hint: "With labels, splits, tags and classes",
    run: (text) => act("copy", { name: text }),
  });
  const save = button(
    "Export",
    "archive",
    "Write the selected images, what is listed or all of it in the form of another tool",
    () => transfer({ kind: "export", action: "look" }),
  );
  const more = createMenu({
    button: chosen(button("More", "more", "More actions", null)),
    name: "More actions",
    items: () => [{ text: "Clear labels (unlabelled again)", run: () => act("clear") }, ...untag()],
  });
  const reclassify = createMenu({
    button: chosen(button("Change class", "tag", "Give the selected boxes another class", null)),
    name: "Change class",
    items: () =>
      classes().map((_, cls) => ({
        text: className(classes(), cls),
        colour: classColour(cls, colours()).fill,
        run: () => act("reclassify", { class_id: cls }),
      })),
  });
  const splitOff = createPrompt({
    button: chosen(
      button("New class", "plus", "Make the selected boxes a class of their own", null),
    ),
    label: "Name of the new class",
    action: "Make the class",
    hint: "The selected boxes get it; all others keep theirs",
    run: (text) => act("split_off", { name: text }),
  });
  const removeBoxes = chosen(
    button(
      "Delete boxes",
      "delete",
      "Delete the selected boxes (Del)",
      guarded(() => act("delete_boxes")),
    ),
  );
  const accept = chosen(
    button(
      "Accept",
      "boxes",
      "Make labels of the selected suggestions",
      guarded(() => act("accept")),
    ),
  );
  const reject = chosen(
    button(
      "Reject",
      "delete",
      "Never offer the selected suggestions again (Del)",
      guarded(() => act("reject")),
    ),
  );
  const acceptSight = () => {
    const [first, last] = grid.inSight();
    act("accept_rest", { first, last });
  };
  const acceptRest = createMenu({
    button: listed(
      button(
        "Accept the rest",
        "find",
        "Accept what is not selected, and reject what is; one undo takes it back",
        null,
      ),
    ),
    name: "Accept the rest",
    items: () => {
      const [first, last] = grid.inSight();
      return [
        { text: `Of the ${last - first} in sight (Shift+Enter)`, run: acceptSight },
        ...(first > 0
          ? [
              {
                text: `Of the ${last} from the first one to here`,
                run: () => act("accept_rest", { first: 0, last }),
              },
            ]
          : []),
        {
          text: `Of all ${state.total.toLocaleString("en")} that are listed`,
          run: () => act("accept_rest", { first: 0, last: state.total }),
        },
      ];
    },
  });
  const order = make(
    "select",
    { class: "wbg-select", "aria-label": "Order of the suggestions", onchange: () => sift() },
    ...ORDERS.map(([value, text]) => make("option", { value }, text)),
  );
  const least = make("input", {
    class: "wbg-number",
    type: "number",
    min: "0",
    max: "100",
    step: "5",
    value: "0",
    "aria-label": "Least score in percent",
    onchange: () => sift(),
  });
  const leastLabel = make("label", { class: "wbg-form-line" }, "from ", least, " %");
  const sift = () =>
    act("sift", {
      order: order.value,
      least: Math.min(Math.max(Number(least.value) || 0, 0), 100) / 100,
    });
  const restore = chosen(
    button(
      "Restore",
      "undo",
      "Put the selected images back where they were",
      guarded(() => act("restore")),
    ),
  );

  const split = make(
    "select",
    { class: "wbg-select", "aria-label": "Add to split" },
    ...SPLIT_NAMES.map((name) => make("option", { value: name }, name)),
  );
  const shows = make("select", {
    class: "wbg-select",
    "aria-label": "What they show",
    title: "Kept as a suggestion for who draws the boxes",
  });
  const picker = make("input", {
    type: "file",
    multiple: true,
    hidden: true,
    onchange: () => {
      upload([...(picker.files ?? [])]);
      picker.value = "";
      add.close();
    },
  });
  const folderPicker = make("input", {
    type: "file",
    webkitdirectory: true,
    hidden: true,
    onchange: () => {
      upload([...(folderPicker.files ?? [])]);
      folderPicker.value = "";
      add.close();
    },
  });
  const path = make("input", {
    class: "wbg-text",
    type: "text",
    spellcheck: "false",
    "aria-label": "Path on the kernel’s machine",
    required: true, // an empty one is asked for by the browser
    placeholder: "/data/photos, clip.mp4, export.zip",
  });
  const every = make("input", {
    class: "wbg-number",
    type: "number",
    min: "1",
    value: "10",
    "aria-label": "Every how many frames",
  });
  const add = createDialog(
    button(
      "Add images",
      "plus",
      "Add images or import a dataset, from this computer or the kernel’s machine; both can also be dropped on the gallery",
      null,
    ),
    "Add images",
    make("label", { class: "wbg-form-line" }, "Into split ", split),
    make("label", { class: "wbg-form-line" }, "They show ", shows),
    make(
      "div",
      { class: "wbg-form-line" },
      make(
        "button",
        { type: "button", class: "wb-choice", onclick: () => picker.click() },
        "Choose files on this computer…",
      ),
      make(
        "button",
        { type: "button", class: "wb-choice", onclick: () => folderPicker.click() },
        "A folder…",
      ),
    ),
    picker,
    folderPicker,
    make(
      "div",
      { class: "wbg-hint" },
      "A zip, an annotation file or a folder with labels is looked at first: you see the plan before anything is written.",
    ),
    make(
      "form",
      {
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          if (!path.value.trim()) return;
          add.close();
          expect();
          send({
            kind: "do",
            action: "import",
            path: path.value.trim(),
            split: split.value,
            class_name: shows.value,
            every: Number(every.value) || 1,
          });
        },
      },
      make(
        "label",
        { class: "wbg-form-label" },
        "File, folder, video or dataset on the kernel’s machine",
        path,
      ),
      make("label", { class: "wbg-form-line" }, "Of a video, every ", every, " frames"),
      make("button", { type: "submit", class: "wb-choice" }, "Import"),
    ),
    make(
      "button",
      {
        type: "button",
        class: "wb-choice wbg-accounts",
        onclick: () => {
          add.close(false);
          transfer({ kind: "import", action: "accounts" });
        },
      },
      "Earlier imports…",
    ),
  );

  const boxesButton = button(
    "Boxes",
    "boxes",
    "Show boxes over the pictures (B)",
    () => toggleBoxes(),
    { class: "wb-button wbg-minor", "aria-pressed": "true" },
  );
  const slider = make("input", {
    type: "range",
    min: "80",
    max: "420",
    step: "4",
    value: "168",
    class: "wbg-size",
    "aria-label": "Size of the pictures",
    title: "Size of the pictures (+ and -)",
    oninput: () => grid.setWish(Number(slider.value)),
  });
  const undo = button("Undo", "undo", "Undo", () => state.undo && act("undo"), {
    class: "wb-button wbg-minor",
  });
  const refresh = button(
    null,
    "refresh",
    "Look again what is in the dataset (R)",
    () => act("refresh"),
    { "aria-label": "Refresh" },
  );

  const sets = {
    images: [
      annotate,
      suggest.element,
      move.element,
      tag.element,
      background,
      remove,
      copy.element,
      save,
      more.element,
    ],
    objects: [reclassify.element, splitOff.element, similar.element, removeBoxes, annotate],
    suggested: [acceptRest.element, accept, reject, annotate, order, leastLabel],
    trash: [restore],
  };
  const actionGroup = make("div", {
    class: "wbg-group wbg-actions",
    role: "group",
    "aria-label": "Actions",
  });
  const element = make(
    "div",
    { class: "wbg-bar", role: "toolbar", "aria-label": "Gallery" },
    modeGroup,
    selecting,
    make("div", { class: "wbg-group wbg-last" }, undo, refresh, add.element, boxesButton, slider),
    actionGroup,
  );

  function toggleBoxes() {
    boxesOn = !boxesOn;
    boxesButton.setAttribute("aria-pressed", String(boxesOn));
    showBoxes(boxesOn);
  }

  /** Offer the classes anew; what was chosen stays chosen while there is such a class. */
  function relabel() {
    const choices = classes().map((name) => make("option", { value: name }, name));
    const chosen = shows.value;
    shows.replaceChildren(make("option", { value: "" }, "whatever comes"), ...choices);
    shows.value = classes().includes(chosen) ? chosen : "";
  }

  let shownMode = "";
  /** @param {Partial<typeof state>} next */
  function update(next = {}) {
    state = { ...state, ...next };
    for (const own of modes) {
      const isOn = own.dataset.mode === state.mode;
      own.setAttribute("aria-checked", String(isOn));
      own.tabIndex = isOn ? 0 : -1;
    }
    if (state.mode !== shownMode) {
      shownMode = state.mode;
      actionGroup.replaceChildren(...(sets[state.mode] ?? []));
    }
    const none = state.total ? "" : NOTHING_THERE;
    for (const own of needsSome) allow(own, none);
    for (const own of needsSelection) allow(own, state.count ? "" : none || NONE_CHOSEN);
    allow(undo, state.undo ? "" : "Nothing was changed here yet.", `Undo: ${state.undo} (Ctrl+Z)`);
    count.textContent = `${state.count.toLocaleString("en")} selected`;
  }
  update();
  relabel();

  return {
    element,
    update,
    relabel,
    /** Where added files go, and the class that they show (or ""). */
    target: () => ({ split: split.value, className: shows.value }),
    /** @param {KeyboardEvent} event @returns {boolean} whether the key is that of an action */
    key(event) {
      const mod = event.ctrlKey || event.metaKey;
      const pressed = keyOf(event);
      const key = pressed.length === 1 ? pressed.toLowerCase() : pressed;
      if (mod && key === "a") grid.selectAll();
      else if (mod && key === "z" && !event.shiftKey) {
        if (!event.repeat) act("undo"); // also of what is under way still
      } else if (mod || event.altKey) return false;
      else if (event.repeat && ONCE.has(key)) return true;
      else if (key === "i") grid.invert();
      else if (key === "Escape") grid.selectNone();
      else if (key === "b") toggleBoxes();
      else if (key === "r") act("refresh");
      else if (key === "Delete" || key === "Backspace") {
        // what is so labelled on a Mac
        if (state.mode === "images") remove.click();
        if (state.mode === "objects") removeBoxes.click();
        if (state.mode === "suggested") reject.click();
      } else if (key === "Enter" && event.shiftKey && state.mode === "suggested") {
        acceptSight();
      } else if (key === "+" || key === "-") {
        slider.value = String(Number(slider.value) + (key === "+" ? 24 : -24));
        grid.setWish(Number(slider.value));
      } else return false;
      return true;
    },
  };
}
