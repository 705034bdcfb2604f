/** The line that says what happened last, and how far it is with what is under way. */
/** @import { Sending } from "../../shared/static/upload.mjs" */
import { make, setText } from "../../shared/static/dom.mjs";
import { KERNEL_GONE } from "../../shared/static/kernel.mjs";
import { sendingWords } from "../../shared/static/upload.mjs";
import { createDialog } from "./popup.mjs";

const HINT =
  "/ filter · arrows and Space select · Ctrl+A all · I invert · Enter open · B boxes · + and − size";
const PAGE_HINT = "Tab goes through the page · Esc goes back to the gallery";

/**
 * @typedef {{text?: string, tone?: string, details?: string[]}} Status
 * @typedef {{what?: string, done?: number, total?: number}} Progress
 */

/**
 * What is said, and how much is done (0 to 1; null: nobody knows; undefined: nothing is under way).
 * @param {{status: Status, progress: Progress, sending: Sending|null, taking?: {name: string, share: number}|null, problem: string, note: string, isOpen?: boolean, isGone: boolean}} state
 *   `taking`: a download; `isOpen`: a page stands in place of the gallery; `problem`: what is wrong with the query; `note`: what this page has to say by itself
 * @returns {{text: string, tone: string, share?: number|null, details: string[]}}
 */
export function wordsOf({ status, progress, sending, taking, problem, note, isOpen, isGone }) {
  /** @param {number} n */
  const count = (n) => n.toLocaleString("en");
  if (isGone) return { text: KERNEL_GONE, tone: "problem", details: [] };
  if (sending)
    return {
      text: `${sendingWords(sending)} …`,
      tone: "info",
      share: sending.share,
      details: [],
    };
  if (taking)
    return {
      text: `Downloading ${taking.name} … ${Math.floor(100 * taking.share)} %`,
      tone: "info",
      share: taking.share,
      details: [],
    };
  if (progress.what) {
    const { done = 0, total = 0 } = progress;
    const far = total ? ` ${count(done)} of ${count(total)}` : done ? ` ${count(done)} so far` : "";
    return {
      text: `${progress.what} …${far}`,
      tone: "info",
      share: total ? done / total : null,
      details: [],
    };
  }
  if (problem || note) return { text: problem || note, tone: "problem", details: [] };
  if (!status.text) return { text: isOpen ? PAGE_HINT : HINT, tone: "hint", details: [] };
  return { text: status.text, tone: status.tone ?? "info", details: status.details ?? [] };
}

/** @param {{stop: () => void}} options */
export function createStatus({ stop }) {
  const message = make("span", { class: "wbg-message", role: "status" });
  const meter = make("progress", {
    class: "wbg-meter",
    max: "1",
    hidden: true,
    "aria-label": "Progress",
  });
  const halt = make(
    "button",
    { type: "button", class: "wb-button", hidden: true, onclick: stop },
    "Stop",
  );
  const list = make("ul", { class: "wbg-details", tabindex: "0", "aria-label": "Each of them" });
  const opener = make("button", { type: "button", class: "wb-button" });
  const details = createDialog(opener, "Details", list);
  details.element.hidden = true;
  const element = make("div", { class: "wbg-status" }, message, details.element, meter, halt);
  /** @type {Parameters<typeof wordsOf>[0]} */
  let state = {
    status: {},
    progress: {},
    sending: null,
    taking: null,
    problem: "",
    note: "",
    isGone: false,
  };

  return {
    element,
    /** @param {Partial<typeof state>} next */
    update(next) {
      if (next.status && next.status !== state.status) state.note = "";
      state = { ...state, ...next };
      const now = wordsOf(state);
      setText(message, now.text);
      message.title = now.text;
      message.dataset.tone = now.tone;
      meter.hidden = halt.hidden = now.share === undefined;
      if (now.share === null) meter.removeAttribute("value");
      else if (now.share !== undefined) meter.value = now.share;
      details.element.hidden = now.details.length < 2;
      if (details.element.hidden) details.close(false);
      setText(opener, `All ${now.details.length.toLocaleString("en")}`);
      if (
        list.childElementCount !== now.details.length ||
        list.firstChild?.textContent !== now.details[0]
      ) {
        list.replaceChildren(...now.details.map((text) => make("li", {}, text)));
      }
    },
  };
}
