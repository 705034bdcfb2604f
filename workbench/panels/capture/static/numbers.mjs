/** Counters: how many pictures, of what, where, and what was left out. */
/** @import { CaptureSettings, CaptureStatus } from "../../types.d.ts" */
import { make, setText } from "../../shared/static/dom.mjs";

const COUNTED_SPLITS = ["train", "val", "test"];

/** Frames that a page did not send: what was the limit. Pure. */
export function noneLeft() {
  return { page: 0, way: 0, disk: 0 };
}

/**
 * What a status says in words, with what was the limit where frames were lost. Pure.
 * @param {CaptureStatus} status of the kernel
 * @param {ReturnType<typeof noneLeft>} left by this page
 * @param {CaptureSettings["detections"]} detections what becomes of the boxes that a model finds
 * @returns {{text: string, tone: string}[]}
 */
export function statusNotes(status, left = noneLeft(), detections = "off") {
  /** @type {{text: string, tone: string}[]} */
  const notes = [];
  /** @param {string} text */
  const say = (text, tone = "info") => notes.push({ text, tone });
  /** @param {number} count */
  const number = (count) => count.toLocaleString("en");
  /** @param {number} count */
  const frames = (count) => `${number(count)} frame${count === 1 ? "" : "s"}`;
  // Before a frame is saved with its boxes, the model looks at it: that takes longer than a disk.
  const isModel = detections === "labels" || detections === "predictions";
  const unwritten = (status.dropped ?? 0) + left.disk;
  if (status.failure) say(status.failure, "problem");
  if (status.slow)
    say(
      `${isModel ? "The model" : "The disk"} is slower than the camera: frames wait to be saved.`,
      "warning",
    );
  if ((status.similar ?? 0) > 0) say(`${number(status.similar ?? 0)} skipped as alike`);
  if ((status.blurred ?? 0) > 0) say(`${number(status.blurred ?? 0)} blurred`);
  if (unwritten > 0)
    say(
      `${frames(unwritten)} left out: ${isModel ? "the model looks at each before it is saved, and" : "the disk"} is too slow for this rate`,
      "warning",
    );
  if (left.way > 0)
    say(`${frames(left.way)} left out: the kernel is busy, or the way to it is slow`, "warning");
  if (left.page > 0)
    say(
      `${frames(left.page)} left out: this browser makes picture files too slowly; try a lower resolution or close other pages`,
      "warning",
    );
  if ((status.damaged ?? 0) > 0) say(`${frames(status.damaged ?? 0)} damaged`, "warning");
  return notes;
}

export function createNumbers() {
  const cells = Object.fromEntries(
    COUNTED_SPLITS.map((name) => [
      name,
      make(
        "span",
        { class: "wbc-split" },
        make("span", { class: "wbc-split-name" }, name),
        make("b", {}),
        make("span", { class: "wbc-new" }),
      ),
    ]),
  );
  const splits = make("div", { class: "wbc-splits" }, ...Object.values(cells));
  const classes = make("div", { class: "wbc-tags" });
  const notes = make("div", { class: "wbc-notes-list", role: "status" });
  const element = make("div", { class: "wbc-numbers" }, splits, classes, notes);

  return {
    element,
    /**
     * @param {CaptureStatus} status
     * @param {ReturnType<typeof noneLeft>} left
     * @param {CaptureSettings["detections"]} detections
     */
    update(status, left, detections) {
      const here = status.by_split ?? {};
      const all = status.in_dataset ?? {};
      for (const name of COUNTED_SPLITS) {
        const cell = cells[name];
        cell.dataset.now = String(Boolean(status.recording) && status.split === name);
        setText(cell.children[1], String(all[name] ?? 0));
        setText(cell.children[2], here[name] ? `+${here[name]}` : "");
      }
      const tags = Object.entries(status.by_class ?? {}).map(([name, count]) => `${name} ${count}`);
      while (classes.children.length > tags.length) classes.lastElementChild?.remove();
      for (const [place, text] of tags.entries()) {
        setText(
          classes.children[place] ?? classes.appendChild(make("span", { class: "wbc-tag" })),
          text,
        );
      }
      const lines = statusNotes(status, left, detections);
      const key = JSON.stringify(lines);
      if (notes.dataset.shown !== key) {
        notes.dataset.shown = key;
        notes.replaceChildren(
          ...lines.map((line) => make("span", { "data-tone": line.tone }, line.text)),
        );
      }
    },
  };
}
