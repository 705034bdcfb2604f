/** What goes out, in which form, and where to; says before what the format cannot hold. */
/** @import { ExportPage, Send } from "../../types.d.ts" */

import { noteList } from "../../shared/static/account_page.mjs";
import { make } from "../../shared/static/dom.mjs";
import {
  choice,
  copyAsPython,
  counted,
  labelled,
  pageButton,
  part,
} from "../../shared/static/pages.mjs";

/** @param {ExportPage} page @param {Send} send @param {() => void} download */
export function exportPage(page, send, download) {
  /** @param {string} key */
  const choose = (key) => (/** @type {string} */ value) =>
    send({ kind: "export", action: "choose", key, value });
  const { pictures = 0, annotations = 0, classes = 0 } = page.counts;
  const whyNot = pictures ? "" : "There is no picture to take out: choose others under “Pictures”.";
  const path = make("input", {
    class: "wbp-field wbp-wide",
    type: "text",
    spellcheck: "false",
    value: page.path,
    "aria-label": "Folder or archive on the kernel’s machine",
    "data-keep": "path",
  });
  const write = () =>
    path.value.trim() && send({ kind: "export", action: "write", path: path.value.trim() });
  const body = [
    part(
      "What goes out",
      make(
        "div",
        { class: "wbp-fields" },
        labelled(
          "Pictures",
          choice("Pictures", page.whats, page.chosen.what, choose("what"), { "data-keep": "what" }),
        ),
        labelled(
          "Format",
          choice("Format", page.formats, page.chosen.format, choose("format"), {
            "data-keep": "format",
          }),
        ),
        labelled(
          "Picture files",
          choice("Picture files", page.images, page.chosen.images, choose("images"), {
            "data-keep": "images",
          }),
        ),
      ),
    ),
    page.problem
      ? make("p", { class: "wbp-problem", role: "alert" }, page.problem)
      : make(
          "p",
          { class: "wbp-sum" },
          `${counted(pictures, "picture")}, ${counted(annotations, "annotation")}, ${classes} ${classes === 1 ? "class" : "classes"}.`,
        ),
    part(
      "What the format cannot hold",
      page.notes.length
        ? noteList(page.notes)
        : make("p", { class: "wbp-none" }, "It holds all that there is."),
    ),
    part(
      "To the kernel’s machine",
      make(
        "form",
        {
          class: "wbp-line",
          onsubmit: (/** @type {Event} */ event) => {
            event.preventDefault();
            write();
          },
        },
        path,
        pageButton("Write", write, { "data-keep": "write", whyNot }),
      ),
      make(
        "p",
        { class: "wbp-small" },
        "A name that ends in .zip makes an archive, any other a folder.",
      ),
    ),
  ];
  const foot = [
    pageButton("Download in the browser", download, {
      class: "wbp-primary",
      "data-keep": "download",
      whyNot,
    }),
    copyAsPython(page.code),
    pageButton("Back to the gallery", () => send({ kind: "export", action: "close" }), {
      "data-keep": "close",
    }),
  ];
  return { title: `Export ${page.dataset}`, words: "The dataset stays as it is.", body, foot };
}
