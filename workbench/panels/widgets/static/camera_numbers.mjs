/** Counters: how many pictures, of what, where, and what was left out. */
import { make } from "./box_dom.mjs";

/** What a status says in words. Pure. @returns {{text: string, tone: string}[]} */
export function statusNotes(status, skipped = 0) {
  const notes = [];
  const say = (count, text, tone = "info") => count > 0 && notes.push({ text: text.replace("#", count.toLocaleString("en")), tone });
  if (status.failure) notes.push({ text: status.failure, tone: "problem" });
  if (status.slow) notes.push({ text: "The disk is slower than the camera: frames wait to be written.", tone: "warning" });
  say(status.similar, "# skipped as alike");
  say(status.blurred, "# blurred");
  say((status.dropped ?? 0) + skipped, "# frames left out: the way to the disk was full", "warning");
  say(status.damaged, "# frames were damaged", "warning");
  return notes;
}

export function createNumbers() {
  const splits = make("div", { class: "wbc-splits" });
  const classes = make("div", { class: "wbc-tags" });
  const notes = make("div", { class: "wbc-notes-list", role: "status" });
  const element = make("div", { class: "wbc-numbers" }, splits, classes, notes);

  return {
    element,
    update(status, skipped) {
      const names = ["train", "val", "test"];
      const here = status.by_split ?? {};
      const all = status.in_dataset ?? {};
      splits.replaceChildren(
        ...names.map((name) => make("span", { class: "wbc-split", "data-now": String(status.recording && status.split === name) },
          make("span", { class: "wbc-split-name" }, name),
          make("b", {}, String(all[name] ?? 0)),
          make("span", { class: "wbc-new" }, here[name] ? `+${here[name]}` : ""))),
      );
      classes.replaceChildren(...Object.entries(status.by_class ?? {}).map(([name, count]) => make("span", { class: "wbc-tag" }, `${name} ${count}`)));
      const lines = statusNotes(status, skipped);
      const key = JSON.stringify(lines);
      if (notes.dataset.shown !== key) {
        notes.dataset.shown = key;
        notes.replaceChildren(...lines.map((line) => make("span", { "data-tone": line.tone }, line.text)));
      }
    },
  };
}
