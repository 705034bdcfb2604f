/** The card on the stage: what is wrong, and what the user can do. */
import { make } from "../../shared/static/dom.mjs";

/**
 * @param {{card: HTMLElement, retry: () => void, upload: (files: File[]) => void,
 *   server: () => void}} on
 */
export function createHelp({ card, retry, upload, server }) {
  // On a phone this opens the phone's own camera, which needs no secure page.
  const file = make("input", {
    type: "file",
    accept: "image/*",
    multiple: true,
    hidden: true,
    "aria-label": "Picture files",
    onchange: () => {
      upload([...(file.files ?? [])]);
      file.value = "";
    },
  });
  /** @param {string} text @param {string} className @param {() => void} onclick */
  const button = (text, className, onclick) =>
    make("button", { type: "button", class: className, onclick }, text);

  return {
    idle: { code: "idle", title: "", text: "" },
    asking: {
      code: "asking",
      title: "Opening the camera …",
      text: "Your browser may ask whether this page may use it.",
    },
    /** @param {{code: string, title: string, text: string} | null} problem */
    show(problem) {
      card.hidden = problem === null;
      if (!problem) {
        card.replaceChildren();
        return;
      }
      card.dataset.code = problem.code;
      const isIdle = problem.code === "idle";
      const parts = [];
      if (problem.title) parts.push(make("strong", {}, problem.title), make("p", {}, problem.text));
      const buttons = [];
      if (isIdle) buttons.push(button("Start camera", "wbc-big", retry));
      else if (
        !["insecure", "unsupported", "vscode", "asking", "kernel", "feed"].includes(problem.code)
      )
        buttons.push(button("Try again", "wbc-big", retry));
      if (!["asking", "kernel"].includes(problem.code)) {
        buttons.push(button("Upload pictures", "wbc-other", () => file.click()));
        if (problem.code !== "feed" && !isIdle)
          buttons.push(button("Kernel's camera", "wbc-other", server));
      }
      card.replaceChildren(...parts, make("div", { class: "wbc-ways" }, ...buttons), file);
      card.setAttribute("role", isIdle ? "group" : "alert");
    },
  };
}
