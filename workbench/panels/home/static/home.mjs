/** The home page: a card for each dataset, a form for new ones, what to do next, the trash. */
/** @import { HomeCard, HomeModel, HomePage, Receiver, Send, View } from "../../types.d.ts" */
import { classColour } from "../../shared/static/colours.mjs";
import { allow, make, setText } from "../../shared/static/dom.mjs";
import { createSender, KERNEL_GONE } from "../../shared/static/kernel.mjs";
import { ownKeys } from "../../shared/static/own_keys.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createTransferPage, importContent } from "../../shared/static/transfer_page.mjs";
import { createTransfer } from "./transfer.mjs";
import { agoText, progressText, sizeText } from "./words.mjs";

const CLASSES_SHOWN = 6;
const LINKS_SHOWN = 3;

/** @param {View<HomeModel>} view */
function render({ model, el }) {
  /** @type {Map<string, string>} addresses of pictures by dataset */
  const pictures = new Map();
  const kernel = createSender(model, () => {
    transfer.stop();
    for (const hear of waiting.values()) hear(KERNEL_GONE);
    tellProblem(KERNEL_GONE);
  });
  /** @param {Record<string, string>} what */
  const act = (what) => kernel.send({ kind: "do", .../** @type {any} */ (what) });
  /** Forms that wait for what the kernel says. @type {Map<string, (problem: string) => void>} */
  const waiting = new Map();
  const session = pageSession();
  /** Do it, and say what was wrong; "": nothing. @param {Record<string, string>} what */
  const actAndHear = (what) =>
    new Promise((/** @type {(problem: string) => void} */ resolve) => {
      if (kernel.isGone()) return resolve(KERNEL_GONE);
      const mark = `${session} ${performance.now()}`;
      waiting.set(mark, resolve);
      return act({ ...what, ask: mark });
    });
  /** @param {string} panel @param {string} name */
  const go = (panel, name) => kernel.send({ kind: "go", panel, name });

  const status = make("div", { class: "wbh-status", role: "status" });
  const undo = make("button", {
    class: "wb-button wbh-undo",
    onclick: () => act({ action: "undo" }),
  });
  const stop = make(
    "button",
    {
      class: "wb-button",
      onclick: () => {
        transfer.stop();
        kernel.send({ kind: "stop" });
      },
    },
    "Stop",
  );
  const meter = make("progress", { class: "wbh-meter", max: "1", "aria-label": "Progress" });
  const running = make("div", { class: "wbh-running", role: "list", "aria-label": "Training now" });
  const dropHere = make(
    "div",
    { class: "wbh-drop", hidden: true },
    "Drop pictures, a folder or a zip: what would come of it is shown first",
  );
  /** What this page sends or takes: words, and how much of it is done. @type {{text: string, share: number|null}} */
  let moving = { text: "", share: null };
  const transfer = createTransfer(kernel.send, {
    progressed(text, share) {
      moving = { text, share };
      showState();
    },
    failed: (text) => setText(status, text),
  });
  /** @param {boolean} folder whether a folder is chosen */
  const chooser = (folder) =>
    make("input", {
      type: "file",
      multiple: true,
      hidden: true,
      ...(folder ? { webkitdirectory: true } : {}),
      onchange: (/** @type {Event} */ event) => {
        const input = /** @type {HTMLInputElement} */ (event.target);
        bringIn([...(input.files ?? [])]);
        input.value = "";
      },
    });
  const [chooseFiles, chooseFolder] = [chooser(false), chooser(true)];
  const cards = make("div", { class: "wbh-cards" });
  const trash = make("details", { class: "wbh-trash", hidden: true });
  const dialogue = make("div", { class: "wbh-dialogue", hidden: true });
  const bring = make("button", { class: "wb-button", onclick: askImport }, "Bring in …");
  /** What was asked for last, as long as nothing was found there. */
  let typed = "";
  /** Stands in place of the cards while something is brought in. */
  const page = createTransferPage({
    send: (message) => {
      if (message.kind !== "fetch") kernel.send(message);
    },
    leave: () => (typed ? askImport() : bring.focus()),
    /** @param {HomePage} shown @param {Send} ask */
    contentOf: (shown, ask) => importContent(shown, ask, "Back to all datasets"),
  });
  const head = make(
    "div",
    { class: "wbh-head" },
    make("h2", {}, "Datasets"),
    make("button", { class: "wb-button wb-primary", onclick: askNew }, "New dataset"),
    bring,
    undo,
  );
  const rest = make("div", { class: "wbh-rest" }, dialogue, running, cards, trash);
  const root = make(
    "div",
    { class: "wb-home", role: "region", "aria-label": "Datasets" },
    head,
    make("div", { class: "wbh-line" }, status, meter, stop),
    rest,
    page.element,
    chooseFiles,
    chooseFolder,
    dropHere,
  );
  el.append(root);
  const release = ownKeys(root);

  /**
   * Ask for some words in a form above the cards.
   * @param {string} title @param {string} answer on the button
   * @param {{name: string, label: string, value?: string, hint?: string, needed?: boolean}[]} fields
   * @param {(values: Record<string, string>) => Promise<string>|void} then
   *   with a promise of what was wrong: until there is nothing, the form and its words stay
   * @param {HTMLElement[]} before what stands above the fields
   */
  function ask(title, answer, fields, then, before = []) {
    const inputs = fields.map(({ name, value = "", hint = "", needed = true }) =>
      make("input", {
        class: "wbh-field",
        name,
        value,
        placeholder: hint,
        required: needed,
        autocomplete: "off",
      }),
    );
    const close = () => {
      dialogue.hidden = true;
    };
    const cancel = make("button", { class: "wb-button", type: "button", onclick: close }, "Cancel");
    let isAsked = false;
    const problem = make("p", { class: "wbh-problem", role: "alert", hidden: true });
    const submit = make("button", { class: "wb-button wb-primary", type: "submit" }, answer);
    /** @param {string} text */
    const hear = (text) => {
      isAsked = false;
      allow(submit, "");
      if (dialogue.hidden || dialogue.firstElementChild !== form) return tellProblem(text);
      setText(problem, text);
      problem.hidden = !text;
      if (!text) return close();
      inputs[0]?.focus();
      return inputs[0]?.select();
    };
    const form = make(
      "form",
      {
        "aria-label": title,
        onsubmit: (/** @type {Event} */ event) => {
          event.preventDefault();
          if (isAsked) return undefined;
          const asked = then(Object.fromEntries(inputs.map((input) => [input.name, input.value])));
          if (!asked) return close();
          isAsked = true;
          allow(submit, "It is being done.");
          return asked.then(hear);
        },
        onkeydown: (/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Escape") close();
        },
      },
      make("h3", {}, title),
      ...before,
      ...inputs.map((input, place) => make("label", {}, fields[place].label, input)),
      problem,
      make("div", { class: "wbh-row" }, submit, cancel),
    );
    dialogue.replaceChildren(form);
    dialogue.hidden = false;
    (inputs[0] ?? cancel).focus(); // a question is not agreed to by accident
    inputs[0]?.select();
  }

  function askNew() {
    ask(
      "New dataset",
      "Make it",
      [
        { name: "name", label: "Name", hint: "such as: cups" },
        {
          name: "classes",
          label: "Classes, with commas between",
          hint: "such as: cup, saucer; more can come later",
          needed: false,
        },
      ],
      ({ name, classes }) => actAndHear({ action: "create", name, classes }),
    );
  }

  /** Show what would come of files of the browser's machine. @param {File[]} files */
  function bringIn(files) {
    if (!files.length) return;
    dialogue.hidden = true;
    page.expect();
    transfer.send(files);
  }

  function askImport() {
    const choose = make(
      "div",
      { class: "wbh-row" },
      make(
        "button",
        { class: "wb-button", type: "button", onclick: () => chooseFiles.click() },
        "Choose pictures, a zip or a video …",
      ),
      make(
        "button",
        { class: "wb-button", type: "button", onclick: () => chooseFolder.click() },
        "Choose a folder …",
      ),
      make("span", {}, "of this machine, or drop it anywhere on this page"),
    );
    ask(
      "Bring in a dataset",
      "Look at it",
      [
        {
          name: "path",
          label: "Or a folder, archive or annotation file on the machine of the kernel",
          value: typed,
          hint: "such as: ~/Downloads/export.zip",
        },
      ],
      ({ path }) => {
        typed = path;
        page.ask({ kind: "import", action: "look", path });
      },
      [choose],
    );
  }

  /** @param {HomeCard} card */
  function askRename({ name, seen }) {
    const fields = [{ name: "to", label: "New name", value: name }];
    ask(`Rename ${name}`, "Rename", fields, ({ to }) =>
      actAndHear({ action: "rename", name, to, seen }),
    );
  }

  /** @param {HomeCard} card */
  function askDuplicate({ name, seen }) {
    const fields = [{ name: "to", label: "Name of the copy", value: `${name}-copy` }];
    ask(`Duplicate ${name}`, "Duplicate", fields, ({ to }) =>
      actAndHear({ action: "duplicate", name, to, seen }),
    );
  }

  /** @param {HomeCard} card */
  function cardOf(card) {
    const { name, problem, seen } = card;
    const actions = make(
      "div",
      { class: "wbh-row wbh-actions" },
      ...(problem
        ? []
        : [
            // What is to be done next is said once, above.
            ...(card.next?.button === "Annotate"
              ? []
              : [
                  make(
                    "button",
                    { class: "wb-button", onclick: () => go("Annotate", name) },
                    "Annotate",
                  ),
                ]),
            make("button", { class: "wb-button", onclick: () => askRename(card) }, "Rename"),
            make("button", { class: "wb-button", onclick: () => askDuplicate(card) }, "Duplicate"),
            make(
              "button",
              {
                class: "wb-button",
                title: "Choose format and images",
                onclick: () => go("Export", name),
              },
              "Export …",
            ),
            make(
              "button",
              {
                class: "wb-button",
                title: "All of it as a zip, onto the machine of this browser",
                onclick: () => transfer.take(name),
              },
              "Download",
            ),
          ]),
      make(
        "button",
        {
          class: "wb-button",
          title: "To the trash; Undo brings it back",
          onclick: () => act({ action: "delete", name, seen }),
        },
        "Delete",
      ),
    );
    const links = [
      ...(card.links.length ? [linksOf(card)] : []),
      ...(card.trusted.length ? [trustedOf(card)] : []),
    ];
    if (problem) {
      return make(
        "article",
        { class: "wbh-card", role: "listitem", "aria-label": name },
        make("h3", {}, name),
        make("p", { class: "wbh-problem" }, `This dataset cannot be used as it is. ${problem}`),
        ...links,
        actions,
      );
    }
    const picture = make("button", {
      class: "wbh-picture",
      "aria-label": `Open ${name}`,
      onclick: () => go("Browse", name),
    });
    const address = pictures.get(name);
    if (address) picture.style.backgroundImage = `url(${address})`;
    else picture.textContent = card.images ? "" : "No images yet";
    const share = card.images ? card.labelled / card.images : 0;
    return make(
      "article",
      { class: "wbh-card", role: "listitem", "aria-label": name },
      picture,
      make("h3", {}, name),
      make(
        "div",
        { class: "wbh-classes" },
        ...card.classes.slice(0, CLASSES_SHOWN).map(([label, count], id) => {
          const chip = make(
            "span",
            { title: `${label}: ${count.toLocaleString("en")} boxes` },
            label,
          );
          chip.style.setProperty("--class", classColour(id, card.colours).fill);
          return chip;
        }),
        ...(card.classes.length > CLASSES_SHOWN
          ? [`and ${card.classes.length - CLASSES_SHOWN} more`]
          : []),
      ),
      make(
        "div",
        {
          class: "wbh-bar",
          role: "progressbar",
          "aria-label": "labelled",
          "aria-valuenow": Math.round(100 * share),
        },
        make("span", { style: `width: ${100 * share}%` }),
      ),
      make("p", {}, progressText(card)),
      make("p", { class: "wbh-small" }, `${sizeText(card.bytes)} · ${agoText(card.touched)}`),
      ...(card.next
        ? [
            make(
              "div",
              { class: "wbh-next" },
              make("span", {}, card.next.text),
              make(
                "button",
                { class: "wb-button wb-primary", onclick: () => go(card.next?.panel ?? "", name) },
                card.next.button,
              ),
            ),
          ]
        : []),
      ...links,
      actions,
    );
  }

  /** @param {string[]} folders */
  function someOf(folders) {
    const more = folders.length > LINKS_SHOWN ? ` and ${folders.length - LINKS_SHOWN} more` : "";
    return folders.slice(0, LINKS_SHOWN).join(", ") + more;
  }

  /** What leads out of a dataset, and the way to say that it is meant. @param {HomeCard} card */
  function linksOf(card) {
    return make(
      "div",
      { class: "wbh-next" },
      make("span", {}, `Links lead out of it, to ${someOf(card.links)}.`),
      make("button", { class: "wb-button", onclick: () => askTrust(card) }, "They are mine …"),
    );
  }

  /** That links are followed, and the way back. @param {HomeCard} card */
  function trustedOf({ name, trusted }) {
    return make(
      "div",
      { class: "wbh-next wbh-trusted" },
      make(
        "span",
        { title: "You have said that these links are your own." },
        `↗ Its links to ${someOf(trusted)} are followed.`,
      ),
      make(
        "button",
        {
          class: "wb-button",
          title: "What lies there is shown and trained on still, and no longer changed or exported",
          onclick: () => act({ action: "distrust_links", name }),
        },
        "Not mine",
      ),
    );
  }

  /** @param {HomeCard} card */
  function askTrust({ name, links }) {
    const words = [
      `Links in ${name} lead to ${links.join(", ")}.`,
      "If you have made them: from then on what lies there is changed, exported and kept in " +
        "versions like the rest of the dataset. If you do not know them, cancel: a stranger’s " +
        "link may lead to any file of yours, and what is exported may be passed on.",
    ];
    const then = () =>
      kernel.send({ kind: "do", action: "trust_links", name, folders: [...links] });
    ask(`Are the links of ${name} your own?`, "They are mine", [], then, [
      ...words.map((text) => make("p", {}, text)),
    ]);
  }

  function showUnknown() {
    if (!model.get("ready")) showCards();
  }

  function showCards() {
    const found = model.get("cards");
    if (!model.get("ready")) {
      const failed = model.get("status")?.tone === "problem";
      const text = failed ? "It is not known yet which datasets there are." : "Looking …";
      return cards.replaceChildren(make("p", {}, text));
    }
    const where = model.get("where");
    const empty = make(
      "p",
      { class: "wbh-empty" },
      `There is no dataset yet${where ? ` in ${where}` : ""}. Make a new one and add pictures to ` +
        "it, or bring one in that another tool has made.",
    );
    cards.replaceChildren(...(found.length ? found.map(cardOf) : [empty]));
    // A list has entries, or it is none for those who hear the page.
    if (found.length) cards.setAttribute("role", "list");
    else cards.removeAttribute("role");
    for (const card of found) {
      if (card.images && !pictures.has(card.name)) {
        pictures.set(card.name, "");
        kernel.send({ kind: "picture", name: card.name });
      }
    }
    return undefined;
  }

  function showTrash() {
    const found = model.get("trash");
    trash.hidden = found.length === 0;
    const isOpen = trash.open;
    trash.replaceChildren(
      make("summary", {}, `Deleted datasets (${found.length})`),
      ...found.map(({ id, name, at }) =>
        make(
          "div",
          { class: "wbh-row" },
          `${name}, deleted ${agoText(at)}`,
          make(
            "button",
            { class: "wb-button", onclick: () => act({ action: "restore", id }) },
            "Restore",
          ),
        ),
      ),
    );
    trash.open = isOpen;
  }

  function showState() {
    const { text = "", tone = "info" } = model.get("status");
    const { what = "", done = 0, total = 0 } = model.get("work");
    const count = total ? ` ${done.toLocaleString("en")} of ${total.toLocaleString("en")}` : " …";
    setText(status, moving.text ? `${moving.text} …` : what ? what + count : text);
    status.dataset.tone = what || moving.text ? "info" : tone;
    stop.hidden = !what && !moving.text;
    meter.hidden = stop.hidden;
    const share = moving.text ? moving.share : total ? done / total : null;
    if (share) meter.value = share;
    else meter.removeAttribute("value");
    const last = model.get("undo");
    undo.hidden = !last;
    setText(undo, `Undo: ${last}`);
    undo.title = `Undo: ${last}`;
  }

  /** @param {string} text of what nobody asks for any more */
  function tellProblem(text) {
    if (!text) return;
    status.dataset.tone = "problem";
    setText(status, text);
  }

  /** @type {Receiver<HomeModel>} */
  const receive = (message, buffers) => {
    if (message.kind === "answered") {
      waiting.get(message.to)?.(message.problem);
      waiting.delete(message.to);
      return;
    }
    if (message.kind !== "picture") return transfer.receive(message, buffers);
    const { name } = message;
    const old = pictures.get(name);
    if (old) URL.revokeObjectURL(old);
    pictures.set(name, URL.createObjectURL(new Blob([buffers[0]], { type: "image/jpeg" })));
    return showCards();
  };
  function showRunning() {
    running.replaceChildren(
      ...model
        .get("running")
        .map(({ text, share }) =>
          make(
            "div",
            { class: "wbh-run", role: "listitem" },
            make("span", {}, text),
            make("progress", { max: "1", value: share, "aria-label": text }),
            make("button", { class: "wb-button", onclick: () => go("Train", "") }, "Show"),
          ),
        ),
    );
    running.hidden = running.childElementCount === 0;
  }

  // Files that are dropped. JupyterLab would take them into its file browser.
  const abort = new AbortController();
  const { signal } = abort;
  /** @param {DragEvent} event */
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  for (const type of /** @type {const} */ (["dragenter", "dragover", "drop"])) {
    root.addEventListener(
      type,
      (event) => {
        if (!event.dataTransfer || !hasFiles(event)) return;
        event.preventDefault();
        event.stopPropagation();
        dropHere.hidden = type === "drop";
        if (type !== "drop") return;
        transfer.dropped(event.dataTransfer).then(bringIn, (error) => {
          status.dataset.tone = "problem";
          setText(status, `What was dropped cannot be read: ${error.message}`);
        });
      },
      { signal },
    );
  }
  root.addEventListener(
    "dragleave",
    (event) => {
      if (!root.contains(/** @type {Node|null} */ (event.relatedTarget))) dropHere.hidden = true;
    },
    { signal },
  );
  window.addEventListener(
    "beforeunload",
    (event) => {
      if (transfer.isBusy()) event.preventDefault(); // what is not sent yet would be lost
    },
    { signal },
  );

  function showPage() {
    const shown = model.get("page");
    if (shown.kind && shown.kind !== "error") typed = "";
    head.hidden = rest.hidden = Boolean(shown.kind);
    root.dataset.page = shown.kind ?? "";
    page.update(shown);
  }
  root.addEventListener(
    "keydown",
    (event) => {
      if (page.isOpen() && !event.defaultPrevented && page.key(event)) event.preventDefault();
    },
    { signal },
  );

  model.on("msg:custom", receive);
  model.on("change:page", showPage);
  model.on("change:running", showRunning);
  model.on("change:cards", showCards);
  model.on("change:ready", showCards);
  model.on("change:status", showUnknown);
  model.on("change:trash", showTrash);
  model.on("change:status change:work change:undo", showState);
  showCards();
  showTrash();
  showState();
  showRunning();
  showPage();
  return () => {
    kernel.close();
    release();
    abort.abort();
    model.off("change:page", showPage);
    model.off("change:running", showRunning);
    model.off("msg:custom", receive);
    model.off("change:cards", showCards);
    model.off("change:ready", showCards);
    model.off("change:status", showUnknown);
    model.off("change:trash", showTrash);
    model.off("change:status change:work change:undo", showState);
    for (const address of pictures.values()) if (address) URL.revokeObjectURL(address);
    root.remove();
  };
}

export default function home() {
  return { render };
}
