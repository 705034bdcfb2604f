/** Buttons that open something: a menu, or a small form. Worked by mouse and by keys. */
import { make } from "./box_dom.mjs";

/**
 * @param {HTMLElement} button @param {HTMLElement} panel
 * @param {{opened?: () => void}} hooks
 */
function attachPopup(button, panel, { opened } = {}) {
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
      if (room && own.right > room.right - 6) panel.style.left = `${Math.round(room.right - 6 - own.right)}px`;
      opened?.();
    },
    close(back = true) {
      if (panel.hidden) return;
      panel.hidden = true;
      button.setAttribute("aria-expanded", "false");
      if (back) button.focus();
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
    if (!element.contains(event.relatedTarget)) popup.close(false);
  });
  return popup;
}

/**
 * A button with a menu.
 * @param {{button: HTMLElement, items: () => {text: string, run: () => void, colour?: string}[], name: string}} options
 */
export function createMenu({ button, items, name }) {
  button.setAttribute("aria-haspopup", "menu");
  const panel = make("div", { class: "wbg-popup wbg-menu", role: "menu", "aria-label": name });
  const options = () => [...panel.querySelectorAll("[role=menuitem]")];
  const popup = attachPopup(button, panel, {
    opened() {
      options()[0]?.focus();
    },
  });
  button.addEventListener("click", fill, { capture: true });
  panel.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.indexOf(event.target);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) all[(at + step + all.length) % all.length]?.focus();
    else if (event.key === "Home") all[0]?.focus();
    else if (event.key === "End") all.at(-1)?.focus();
    else if (/^\S$/.test(event.key)) all.find((option) => option.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function fill() {
    panel.replaceChildren(...items().map(({ text, run, colour }) => {
      const dot = colour ? [make("span", { class: "wbg-dot", style: `background:${colour}` })] : [];
      return make("button", {
        type: "button", class: "wbg-menu-item", role: "menuitem", tabindex: "-1",
        onclick: () => {
          popup.close();
          run();
        },
      }, ...dot, text);
    }));
  }

  return popup;
}

/**
 * A button with a form of one text field.
 * @param {{button: HTMLElement, label: string, hint?: string, action: string,
 *   value?: () => string, run: (text: string) => void}} options
 */
export function createPrompt({ button, label, hint = "", action, value = () => "", run }) {
  const input = make("input", { class: "wbg-text", type: "text", spellcheck: "false", "aria-label": label });
  const form = make("form", {
    onsubmit: (event) => {
      event.preventDefault();
      const text = input.value.trim();
      if (!text) return;
      popup.close();
      run(text);
    },
  }, make("label", { class: "wbg-form-label" }, label, input), make("div", { class: "wbg-hint" }, hint),
  make("button", { type: "submit", class: "wb-choice" }, action));
  const panel = make("div", { class: "wbg-popup wbg-form", role: "dialog", "aria-label": label }, form);
  button.setAttribute("aria-haspopup", "dialog");
  const popup = attachPopup(button, panel, {
    opened() {
      input.value = value();
      input.focus();
      input.select();
    },
  });
  return popup;
}

/** A button with any form. @param {HTMLElement[]} content */
export function createDialog(button, name, ...content) {
  button.setAttribute("aria-haspopup", "dialog");
  const panel = make("div", { class: "wbg-popup wbg-form", role: "dialog", "aria-label": name }, ...content);
  return attachPopup(button, panel, { opened: () => panel.querySelector("input, select, button")?.focus() });
}
