/** The filter bar: a text field with completion, the order, and how many images match. */
/** @import { Completion, CompletionsMessage, GalleryMessage } from "../../types.d.ts" */
import { icon, make } from "../../shared/static/dom.mjs";
import { completed, createQueryTrack, grown, SORTS, sortOf, withSort } from "./query.mjs";

const TYPING_MS = 300;

/**
 * @param {{send: (message: GalleryMessage) => void, leave: () => void, complain: (text: string) => void}} options
 *   `leave`: put the focus back into the grid; `complain`: say what is wrong with the query
 */
export function createFilter({ send, leave, complain }) {
  const id = `wbg-completions-${Math.random().toString(36).slice(2, 8)}`;
  const input = make("input", {
    class: "wbg-query",
    type: "text",
    role: "combobox",
    spellcheck: "false",
    autocomplete: "off",
    placeholder: "Filter: part of a name, class:person, boxes>3, unlabelled, split:val …",
    "aria-label": "Filter",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": id,
  });
  const list = make("div", {
    class: "wbg-completions",
    role: "listbox",
    id,
    "aria-label": "Completions",
    hidden: true,
  });
  const clear = make(
    "button",
    {
      class: "wb-button wbg-clear",
      type: "button",
      title: "Clear the filter",
      "aria-label": "Clear the filter",
      hidden: true,
      onclick: () => take(""),
    },
    "×",
  );
  const sort = make(
    "select",
    { class: "wbg-select", "aria-label": "Order" },
    ...SORTS.map(([value, text]) => make("option", { value }, text)),
  );
  const word = make("span", { class: "wb-word" }, "Sort");
  const sortLabel = make("label", { class: "wbg-sort" }, word, sort);
  const count = make("div", { class: "wbg-count", role: "status" });
  const field = make("div", { class: "wbg-field" }, icon("search"), input, clear, list);
  const element = make("div", { class: "wbg-filter" }, field, sortLabel, count);

  const track = createQueryTrack();
  let wrong = ""; // what the kernel cannot understand of the query
  let typing = 0;
  let sequence = 0;
  let asked = ""; // the text that completions were asked for last
  /** @type {Completion[]} */
  let offered = [];
  let offeredFor = "";
  let chosen = -1;

  function submit() {
    clearTimeout(typing);
    const text = input.value.trim();
    follow();
    if (track.ask(text)) send({ kind: "query", text });
  }

  /** @param {string} text */
  function take(text) {
    input.value = text;
    close();
    submit();
    input.focus();
  }

  function follow() {
    clear.hidden = input.value === "";
    const order = sortOf(input.value);
    sort.value = SORTS.some(([value]) => value === order) ? order : "";
  }

  function ask() {
    sequence += 1;
    asked = input.value;
    send({
      kind: "complete",
      seq: sequence,
      text: input.value,
      cursor: input.selectionStart ?? input.value.length,
    });
  }

  function close() {
    sequence += 1; // answers under way come too late
    offered = [];
    chosen = -1;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    showProblem();
  }

  /** Text that is still being typed is not shown as a mistake while there are completions for it. */
  function showProblem() {
    const text = offered.length > 0 ? "" : wrong;
    complain(text);
    input.setAttribute("aria-invalid", String(Boolean(text)));
  }

  /** @param {Completion[]} items */
  function offer(items) {
    const before = offered[chosen]?.insert; // somebody has chosen before this came
    offered = items;
    offeredFor = asked;
    chosen = -1;
    list.replaceChildren(
      ...items.map((item, index) =>
        make(
          "div",
          {
            class: "wbg-completion",
            role: "option",
            id: `${id}-${index}`,
            "aria-selected": "false",
            onmousedown: (/** @type {Event} */ event) => {
              event.preventDefault(); // the focus stays in the field
              accept(index);
            },
          },
          make("span", { class: "wbg-insert" }, item.insert),
          make("span", { class: "wbg-label" }, item.label.replace(item.insert, "").trim()),
        ),
      ),
    );
    list.hidden = items.length === 0;
    input.setAttribute("aria-expanded", String(items.length > 0));
    input.removeAttribute("aria-activedescendant");
    const again = items.findIndex((item) => item.insert === before);
    if (again >= 0) choose(again);
    showProblem();
  }

  /** @param {number} index */
  function choose(index) {
    if (offered.length === 0) return;
    chosen = (index + offered.length) % offered.length;
    [...list.children].forEach((option, i) => {
      option.setAttribute("aria-selected", String(i === chosen));
      if (i === chosen) option.scrollIntoView({ block: "nearest" });
    });
    input.setAttribute("aria-activedescendant", `${id}-${chosen}`);
  }

  /** @param {number} index */
  function accept(index) {
    const { text, cursor } = completed(input.value, grown(offered[index], offeredFor, input.value));
    input.value = text;
    input.setSelectionRange(cursor, cursor);
    close();
    if (/[:<>=]$/.test(text.slice(0, cursor))) ask();
    else submit();
  }

  input.addEventListener("input", () => {
    clearTimeout(typing);
    follow();
    ask();
    typing = setTimeout(submit, TYPING_MS);
  });
  input.addEventListener("focus", () => {
    if (input.value === "") ask();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const isOpen = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (isOpen) choose(chosen + (event.key === "ArrowDown" ? 1 : chosen < 0 ? 0 : -1));
      else ask();
    } else if ((event.key === "Enter" || event.key === "Tab") && isOpen && chosen >= 0)
      accept(chosen);
    else if (event.key === "Enter") {
      close();
      submit();
      leave();
    } else if (event.key === "Escape") {
      if (isOpen) close();
      else leave();
    } else return;
    event.preventDefault();
  });
  sort.addEventListener("change", () => {
    input.value = withSort(input.value, sort.value);
    submit();
  });

  return {
    element,
    focus: () => input.focus(),
    /** @param {CompletionsMessage} message */
    receive(message) {
      if (message.seq === sequence && input.matches(":focus")) offer(message.items);
    },
    /** @param {{query: string, problem: string, count: string, sorts: boolean}} state `sorts`: whether the order is chosen here */
    update(state) {
      // A query set in Python is taken over, but not over what is being typed here.
      if (track.isForeign(state.query, input.value.trim())) input.value = state.query;
      follow();
      wrong = state.problem;
      showProblem();
      count.textContent = state.count;
      sortLabel.hidden = !state.sorts;
    },
    close: () => clearTimeout(typing),
  };
}
