/** The pages of imports and exports, which stand in place of the gallery. */
/** @import { GalleryReceived, Send, TransferPage } from "../../types.d.ts" */
import { make } from "../../shared/static/dom.mjs";
import { createDownload, saveAs } from "../../shared/static/download.mjs";
import { rebuild } from "../../shared/static/pages.mjs";
import { accountPage, accountsPage, errorPage } from "./account_page.mjs";
import { exportPage } from "./export_page.mjs";
import { planPage } from "./plan_page.mjs";

/**
 * @param {{send: Send, leave: () => void,
 *   progressed: (share: number|null, name: string) => void}} options
 *   `leave`: put the focus back into the gallery; `progressed`: told how much of a download has
 *   come, null: it is over
 */
export function createTransfer({ send, leave, progressed }) {
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
  /** @type {ReturnType<typeof createDownload> | null} */
  let download = null;
  let isWanted = false; // a download is being packed

  /** @type {Send} */
  const ask = (message) => {
    isAsked = true;
    send(message);
  };
  function startDownload() {
    if (download || isWanted) return;
    isWanted = true;
    ask({ kind: "export", action: "prepare" });
  }

  /** @param {TransferPage} page */
  function contentOf(page) {
    if (page.kind === "plan") return planPage(page, ask);
    if (page.kind === "account") return accountPage(page, ask);
    if (page.kind === "accounts") return accountsPage(page, ask);
    if (page.kind === "export") return exportPage(page, ask, startDownload);
    return page.kind === "error" ? errorPage(page, ask) : null;
  }

  return {
    element,
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
    /** @param {TransferPage} page */
    update(page) {
      if (page === shown) return;
      const before = shown.kind;
      shown = page;
      const content = contentOf(page);
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
      if (page.kind === "export" && page.download.name && isWanted) {
        isWanted = false;
        download = createDownload();
        send({ kind: "fetch", start: 0 });
      } else if (page.kind !== "export") {
        isWanted = false;
        download = null;
      }
      if (before === page.kind || !isAsked) return;
      isAsked = false;
      if (content) {
        body.scrollTop = 0;
        heading.focus({ preventScroll: true });
      } else leave();
    },
    /** @param {GalleryReceived} message @param {DataView<ArrayBuffer>[]} buffers */
    receive(message, buffers) {
      if (message.kind === "no_piece") {
        isWanted = false;
        download = null;
        progressed(null, "");
      } else if (message.kind === "piece" && download) {
        if (!download.take(message.start, buffers[0])) return;
        if (download.size < message.total) {
          progressed(download.size / message.total, message.name);
          send({ kind: "fetch", start: download.size });
          return;
        }
        saveAs(download.blob(), message.name);
        download = null;
        progressed(null, "");
      }
    },
    /** Ask for nothing more. */
    stop() {
      isWanted = false;
      download = null;
      progressed(null, "");
    },
  };
}
