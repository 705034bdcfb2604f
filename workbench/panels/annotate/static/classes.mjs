/** The list of classes: shows the present one, picks another, finds one by typing. */
import { classColour } from "../../shared/static/colours.mjs";
import { make } from "../../shared/static/dom.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";

/**
 * Classes whose names contain what was typed; names that begin with it come first.
 * @param {string[]} names @param {string} typed
 */
export function matchingClasses(names, typed) {
  const wanted = typed.trim().toLocaleLowerCase();
  /** @param {string} name */
  const rank = (name) => name.toLocaleLowerCase().indexOf(wanted);
  return names
    .map((name, index) => ({ name, index, rank: rank(name) }))
    .filter((item) => item.rank >= 0)
    .sort((a, b) => Number(a.rank > 0) - Number(b.rank > 0) || a.index - b.index);
}

/**
 * @param {object} options
 * @param {() => string[]} options.names
 * @param {() => string[]} options.colours of those that have one of their own
 * @param {(index: number) => void} options.pick
 * @param {() => void} options.leave give the focus back to the stage
 * @param {((name: string) => void)|null} [options.add] append a class; null where that cannot be
 */
export function createClassList({ names, colours, pick, leave, add = null }) {
  const search = make("input", {
    type: "search",
    class: "wb-class-search",
    placeholder: add ? "Find or add a class" : "Find a class",
    "aria-label": add ? "Find or add a class by typing" : "Find a class by typing",
    role: "combobox",
    "aria-expanded": "true",
    autocomplete: "off",
    spellcheck: "false",
  });
  const list = make("div", { class: "wb-class-list", role: "listbox", "aria-label": "Classes" });
  list.id = `wb-classes-${pageSession()}`;
  search.setAttribute("aria-controls", list.id);
  const element = make("div", { class: "wb-classes" }, search, list);
  /** @type {Map<number, HTMLElement>} */
  const counters = new Map();
  let active = 0;
  /** @type {{current: number, counts: Map<number, number>}} */
  let state = { current: 0, counts: new Map() };

  function render() {
    const found = matchingClasses(names(), search.value);
    active = Math.min(active, Math.max(found.length - 1, 0));
    counters.clear();
    list.replaceChildren(
      ...found.map((item, place) => row(item, place)),
      ...(found.length || add ? [] : [make("div", { class: "wb-class-none" }, "no such class")]),
      ...offer(),
    );
    showCounts();
    const chosen = list.children[active];
    if (search.value && chosen?.id) search.setAttribute("aria-activedescendant", chosen.id);
    else search.removeAttribute("aria-activedescendant");
  }

  /** After every edit, so only the numbers that have changed. */
  function showCounts() {
    for (const [index, element] of counters) {
      const count = state.counts.get(index) ?? 0;
      const text = count ? String(count) : "";
      if (element.textContent === text && element.title) continue;
      element.textContent = text;
      element.title = `${count} in this image`;
    }
  }

  /** @param {{name: string, index: number}} item @param {number} place */
  function row({ name, index }, place) {
    const { fill, ink } = classColour(index, colours());
    const digit = index < 10 ? String((index + 1) % 10) : "";
    const swatch = make("span", { class: "wb-swatch" }, digit);
    swatch.style.background = fill;
    swatch.style.color = ink;
    const count = make("span", { class: "wb-class-count" });
    counters.set(index, count);
    return make(
      "div",
      {
        class: `wb-class${search.value && place === active ? " wb-active" : ""}`,
        id: `wb-class-${instance}-${index}`,
        role: "option",
        "aria-selected": index === state.current ? "true" : "false",
        title: digit ? `${name} (key ${digit})` : name,
        onclick: () => choose(index),
      },
      swatch,
      make("span", { class: "wb-class-name" }, name),
      count,
    );
  }

  /** The name that was typed, if it can be added. */
  function addable() {
    const name = search.value.trim().replace(/\s+/g, " ");
    return add && name && !names().includes(name) ? name : "";
  }

  function offer() {
    const name = addable();
    if (!name) return [];
    const text = `Add class “${name}”`;
    return [
      make(
        "button",
        { class: "wb-class-add", type: "button", title: `${text} (Shift+Enter)`, onclick: addIt },
        text,
      ),
    ];
  }

  function addIt() {
    const name = addable();
    if (!name || !add) return;
    search.value = "";
    active = 0;
    add(name);
    render();
    leave();
  }

  /** @param {number} index */
  function choose(index) {
    search.value = "";
    active = 0;
    pick(index);
    render();
    leave();
  }

  search.addEventListener("input", () => {
    active = 0;
    render();
  });
  search.addEventListener("keydown", (event) => {
    const found = matchingClasses(names(), search.value);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      active = Math.min(
        Math.max(active + (event.key === "ArrowDown" ? 1 : -1), 0),
        found.length - 1,
      );
      render();
      list.children[active]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && (event.shiftKey || !found.length)) addIt();
    else if (event.key === "Enter") choose(found[active].index);
    else if (event.key === "Escape") {
      search.value = "";
      render();
      leave();
    } else return;
    event.preventDefault();
  });

  return {
    element,
    focus: () => search.focus(),
    /** @param {{current: number, counts: Map<number, number>}} next */
    update(next) {
      const moved = next.current !== state.current || !list.childElementCount;
      state = next;
      if (!moved) {
        showCounts();
        return;
      }
      render();
      list.querySelector('[aria-selected="true"]')?.scrollIntoView?.({ block: "nearest" });
    },
    refresh: render,
  };
}

const instance = Math.random().toString(36).slice(2, 8);
