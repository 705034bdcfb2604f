/** The frame of a page of an import or an export, which stands in place of a panel's content. */
/** @import { PageContent, Send, TransferPage } from "../../types.d.ts" */
import { accountPage, accountsPage, errorPage } from "./account_page.mjs";
import { make } from "./dom.mjs";
import { rebuild } from "./pages.mjs";
import { planPage } from "./plan_page.mjs";

/**
 * What a page of an import shows; null: it is none.
 * @param {TransferPage} page @param {Send} send
 * @param {string} back words of the button that closes it
 * @returns {PageContent|null}
 */
export function importContent(page, send, back) {
  if (page.kind === "plan") return planPage(page, send);
  if (page.kind === "account") return accountPage(page, send, back);
  if (page.kind === "accounts") return accountsPage(page, send, back);
  return page.kind === "error" ? errorPage(page, send, back) : null;
}

/**
 * @template {TransferPage} Page
 * @param {{send: Send, leave: () => void, contentOf: (page: Page, ask: Send) => PageContent|null}} options
 *   `leave`: put the focus back into what the page stood in place of
 */
export function createTransferPage({ send, leave, contentOf }) {
  const heading = make("h3", { class: "wbp-title", tabindex: "-1" });
  const words = make("p", { class: "wbp-words" });
  const body = make("div", { class: "wbp-body", "data-scroll": "body" });
  const foot = make("div", { class: "wbp-foot", role: "group", "aria-label": "Actions" });
  const inner = make(
    "div",
    { class: "wbp-inner" },
    make("header", { class: "wbp-head" }, heading, words),
    body,
    foot,
  );
  const element = make("section", { class: "wbp-page", hidden: true }, inner);
  /** @type {TransferPage} */
  let shown = {};
  let isAsked = false; // this view has asked for what comes

  /** @type {Send} */
  const ask = (message) => {
    isAsked = true;
    send(message);
  };

  return {
    element,
    ask,
    isOpen: () => Boolean(shown.kind),
    /** A key while the page is open. @param {KeyboardEvent} event @returns {boolean} whether it means something */
    key(event) {
      const target = /** @type {Element} */ (event.target);
      const isTyping = target.matches("input[type=text], select");
      if (event.key === "Escape" && !isTyping) {
        const kind = shown.kind === "export" ? "export" : "import";
        ask({ kind, action: "close" });
        return true;
      }
      const isAgreed = event.key === "Enter" && (event.ctrlKey || event.metaKey);
      if (!isAgreed || shown.kind !== "plan") return false;
      if (isTyping) /** @type {HTMLElement} */ (target).blur(); // what was typed counts
      ask({ kind: "import", action: "apply" });
      return true;
    },
    /** A page that was asked for here gets the focus. */
    expect: () => {
      isAsked = true;
    },
    /** @param {Page} page @returns {boolean} whether it is another one */
    update(page) {
      if (page === shown) return false;
      const before = shown.kind;
      shown = page;
      const content = contentOf(page, ask);
      const hadFocus = element.contains(document.activeElement);
      element.hidden = !content;
      if (content) {
        element.setAttribute("aria-label", content.title);
        element.dataset.kind = page.kind;
        heading.textContent = content.title;
        words.textContent = content.words;
        rebuild(body, content.body);
        rebuild(foot, content.foot);
        if (hadFocus && !element.contains(document.activeElement))
          heading.focus({ preventScroll: true });
      }
      if (before === page.kind || !isAsked) return true;
      isAsked = false;
      if (content) {
        body.scrollTop = 0;
        heading.focus({ preventScroll: true });
        // All of it, with the button at its end; where there is too little room, its heading.
        element.scrollIntoView({ block: "end", inline: "nearest" });
        heading.scrollIntoView({ block: "nearest" });
      } else leave();
      return true;
    },
  };
}
