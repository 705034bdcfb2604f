/** Buttons that open something: a menu, or a small form. Worked by mouse and by keys. */
import { make } from "../../shared/static/dom.mjs";
import { createTypeAhead } from "../../shared/static/type_ahead.mjs";

/**
 * @param {HTMLElement} button @param {HTMLElement} panel
 * @param {{opened?: () => void, back?: HTMLElement}} hooks `back`: has the keyboard afterwards
 */
function attachPopup(button, panel, { opened, back: after = button } = {}) {
  panel.hidden = true;
  button.setAttribute("aria-expanded", "false");
  const element = make("div", { class: "wbg-popup-holder" }, button, panel);
  const popup = {
    element,
    open() {
      if (button.getAttribute("aria-disabled") === "true") return;
      panel.hidden = false;
      button.setAttribute("aria-expanded", "true");
      // Keep it inside of the widget, which may be narrow.
      panel.style.left = "0";
      const room = element.closest(".wb-gallery")?.getBoundingClientRect();
      const own = panel.getBoundingClientRect();
      if (room && own.right > room.right - 6)
        panel.style.left = `${Math.round(room.right - 6 - own.right)}px`;
      opened?.();
    },
    close(back = true) {
      if (panel.hidden) return;
      panel.hidden = true;
      button.setAttribute("aria-expanded", "false");
      if (back) after.focus();
    },
  };
  button.addEventListener("click", () => (panel.hidden ? popup.open() : popup.close()));
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    event.preventDefault();
    popup.close();
  });
  element.addEventListener("focusout", (event) => {
    if (!element.contains(/** @type {Node|null} */ (event.relatedTarget))) popup.close(false);
  });
  return popup;
}

/** Longer menus have a field to look for an item. */
const LOOK_FOR = 12;

/** Whether an item is one of those looked for: all words are in it. @param {string} text @param {string} wanted */
export function isLookedFor(text, wanted) {
  const own = text.toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => own.includes(word));
}

/**
 * A button with a menu; a long one can be searched.
 * @param {{button: HTMLElement, items: () => {text: string, run: () => void, colour?: string}[], name: string}} options
 */
export function createMenu({ button, items, name }) {
  button.setAttribute("aria-haspopup", "menu");
  const menu = make("div", { class: "wbg-menu", role: "menu", "aria-label": name });
  const search = make("input", {
    class: "wbg-text",
    type: "text",
    spellcheck: "false",
    "aria-label": `Look for: ${name}`,
    placeholder: "Look for …",
    oninput: () => look(),
  });
  const none = make("div", { class: "wbg-hint" });
  const panel = make("div", { class: "wbg-popup wbg-menu-panel" }, search, menu, none);
  const options = () => [...menu.querySelectorAll("button")].filter((option) => !option.hidden);
  const typeAhead = createTypeAhead();
  const popup = attachPopup(button, panel, {
    opened() {
      menu.style.minWidth = `${menu.offsetWidth}px`; // it stays as wide while it is searched
      (search.hidden ? options()[0] : search)?.focus();
    },
  });
  button.addEventListener("click", fill, { capture: true });
  let isWord = false; // the key that is down belongs to a word, and presses nothing
  panel.addEventListener("keyup", (event) => {
    if (isWord && event.key === " ") event.preventDefault();
  });
  panel.addEventListener("keydown", (event) => {
    const all = options();
    const isSearching = event.target === search;
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    isWord = false;
    if (step && isSearching) all.at(step > 0 ? 0 : -1)?.focus();
    else if (step && at === 0 && step < 0 && !search.hidden) search.focus();
    else if (step) all[(at + step + all.length) % all.length]?.focus();
    else if (isSearching && event.key === "Enter")
      search.value.trim() ? all[0]?.click() : all[0]?.focus();
    else if (isSearching) return;
    else if (event.key === "Home") all[0]?.focus();
    else if (event.key === "End") all.at(-1)?.focus();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key.length === 1 && (event.key !== " " || typeAhead.isTyping())) {
      isWord = true;
      all[
        typeAhead.find(
          event.key,
          all.map((option) => option.textContent.trim()),
          at,
        )
      ]?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function fill() {
    menu.style.minWidth = "";
    menu.replaceChildren(
      ...items().map(({ text, run, colour }) => {
        const dot = colour
          ? [make("span", { class: "wbg-dot", style: `background:${colour}` })]
          : [];
        return make(
          "button",
          {
            type: "button",
            class: "wbg-menu-item",
            role: "menuitem",
            tabindex: "-1",
            onclick: () => {
              popup.close();
              run();
            },
          },
          ...dot,
          text,
        );
      }),
    );
    search.value = "";
    search.hidden = menu.childElementCount <= LOOK_FOR;
    look();
  }

  function look() {
    for (const option of menu.querySelectorAll("button"))
      option.hidden = !isLookedFor(option.textContent, search.value.trim());
    none.textContent = options().length ? "" : "There is none of this name.";
  }

  return popup;
}

/**
 * A button with a form of one text field.
 * @param {{button: HTMLElement, label: string, hint?: string, action: string,
 *   value?: () => string, known?: () => string[], run: (text: string) => void}} options
 *   `known`: what the browser offers to complete to
 */
export function createPrompt({
  button,
  label,
  hint = "",
  action,
  value = () => "",
  known = () => [],
  run,
}) {
  const offers = make("datalist", { id: `wbg-known-${Math.random().toString(36).slice(2, 8)}` });
  const input = make("input", {
    class: "wbg-text",
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": label,
    list: offers.id,
  });
  const form = make(
    "form",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const text = input.value.trim();
        if (!text) return;
        popup.close();
        run(text);
      },
    },
    make("label", { class: "wbg-form-label" }, label, input),
    offers,
    make("div", { class: "wbg-hint" }, hint),
    make("button", { type: "submit", class: "wb-choice" }, action),
  );
  const panel = make(
    "div",
    { class: "wbg-popup wbg-form", role: "dialog", "aria-label": label },
    form,
  );
  button.setAttribute("aria-haspopup", "dialog");
  const popup = attachPopup(button, panel, {
    opened() {
      offers.replaceChildren(...known().map((text) => make("option", { value: text })));
      input.value = value();
      input.focus();
      input.select();
    },
  });
  return popup;
}

/** A button with any form. @param {HTMLElement} button @param {string} name @param {...HTMLElement} content */
export function createDialog(button, name, ...content) {
  button.setAttribute("aria-haspopup", "dialog");
  const panel = make(
    "div",
    { class: "wbg-popup wbg-form", role: "dialog", "aria-label": name },
    ...content,
  );
  return attachPopup(button, panel, {
    opened: () =>
      /** @type {HTMLElement|null} */ (panel.querySelector("input, select, button"))?.focus(),
  });
}

/**
 * A form that an item of a menu opens, where the menu's button is.
 * @param {HTMLElement} holder of the menu and its button
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.action
 * @param {HTMLElement[]} options.content
 * @param {HTMLElement} options.focus
 * @param {() => void} [options.opened]
 * @param {() => boolean} options.run returns whether the form is done
 */
export function createForm(holder, { name, action, content, focus, opened, run }) {
  const form = make(
    "form",
    {
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        if (run()) popup.close();
      },
    },
    ...content,
    make("button", { type: "submit", class: "wb-choice" }, action),
  );
  const panel = make(
    "div",
    { class: "wbg-popup wbg-form", role: "dialog", "aria-label": name },
    form,
  );
  const anchor = make("button", { type: "button", hidden: true });
  const popup = attachPopup(anchor, panel, {
    back: /** @type {HTMLElement} */ (holder.querySelector("button")),
    opened() {
      opened?.();
      focus.focus();
    },
  });
  popup.element.classList.add("wbg-nested");
  holder.append(popup.element);
  return popup;
}
