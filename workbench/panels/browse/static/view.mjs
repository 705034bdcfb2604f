/**
 * One view of a gallery. Traits of the model are what the kernel has to say about the
 * whole; items and thumbnails come as messages, to the view that asked.
 */
/** @import { Events, GalleryMessage, GalleryModel, Ranges, Receiver } from "../../types.d.ts" */
import { make } from "../../shared/static/dom.mjs";
import { droppedOn, filesIn, isImport, pathOf, refusal } from "../../shared/static/drop.mjs";
import { createSender } from "../../shared/static/kernel.mjs";
import { ownKeys } from "../../shared/static/own_keys.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createUploader } from "../../shared/static/upload.mjs";
import { createActions } from "./actions.mjs";
import { createFilter } from "./filter.mjs";
import { createGrid } from "./grid.mjs";
import { createStatus } from "./status.mjs";
import { createTransfer } from "./transfer.mjs";

const TELL_MS = 40;
/** What the bars above the grid take, in CSS pixels: a page has this room, too. */
const ROOM_OF_BARS = 110;
const WATCHED = [
  "listing",
  "selection",
  "classes",
  "problem",
  "status",
  "progress",
  "height",
  "tags",
  "undo",
  "transfer",
  "transfer_state",
];

/**
 * @param {GalleryModel} model anywidget's
 * @param {HTMLElement} host
 * @returns {() => void} clean-up
 */
export function mountGallery(model, host) {
  const session = pageSession();
  const kernel = createSender(model, () => {
    uploader.stop();
    arrivals.stop();
    transfer.stop();
    status.update({ isGone: true });
  });
  /** @param {GalleryMessage} message @param {ArrayBuffer[]} buffers */
  const send = (message, buffers = []) => kernel.send({ ...message, session }, buffers);
  const live = make("div", { class: "wb-live", "aria-live": "polite" });
  /** @param {string} text */
  const say = (text) => {
    live.textContent = text;
  };
  let telling = 0;
  let shown = -1;
  /** @type {Ranges} */
  let own = [];

  const grid = createGrid({
    send,
    say,
    classes: () => model.get("classes"),
    colours: () => model.get("colours"),
    open: (position) => send({ kind: "open", listing: shown, position }),
    selected(selection) {
      own = selection.ranges;
      actions.update({ count: grid.selectionCount() });
      clearTimeout(telling);
      telling = setTimeout(tell, TELL_MS);
    },
  });
  const rules = () => ({ accept: model.get("accept"), maxBytes: model.get("max_bytes") });
  const uploader = createUploader({
    send,
    failed: say,
    refusal: (file) => refusal(file, rules()),
    progressed: (sending) => status.update({ sending }),
  });
  /** @param {File[]} files */
  const addFiles = (files) => {
    const { split, className } = actions.target();
    uploader.add(files, split, className);
  };
  /** Files that are imported go with their folders. @type {File[]} */
  let arriving = [];
  const arrivals = createUploader({
    send: (message, buffers) =>
      send({ ...message, kind: "arrive", path: pathOf(arriving[message.index]) }, buffers),
    failed: say,
    progressed: (sending) => status.update({ sending }),
  });
  /** @param {File[]} files */
  function importFiles(files) {
    arrivals.stop();
    arriving = files;
    transfer.expect();
    arrivals.add(files, "");
  }
  /** Images are added; what else belongs to a dataset makes an import of all. @param {File[]} files */
  function take(files) {
    const rules_ = rules();
    if (isImport(files, model.get("imports"), rules_.accept)) {
      importFiles(files);
      return;
    }
    const images = files.filter((file) => !pathOf(file).includes("/") || !refusal(file, rules_));
    if (images.length === 0) status.update({ note: "There is no image in what was dropped." });
    addFiles(images);
  }
  /** @param {Parameters<typeof filesIn>[0]} dropped */
  async function addDropped(dropped) {
    try {
      take(await filesIn(dropped));
    } catch (error) {
      status.update({
        note: `What was dropped cannot be read: ${/** @type {Error} */ (error).message}`,
      });
    }
  }
  const transfer = createTransfer({
    send(message) {
      tell(); // an export is of what is selected now
      send(message);
    },
    leave: () => grid.focus(),
    progressed: (share, name) => status.update({ taking: share === null ? null : { share, name } }),
  });
  const filter = createFilter({
    send,
    leave: grid.focus,
    complain: (problem) => status.update({ problem }),
  });
  const actions = createActions({
    send(message) {
      tell(); // an action is on what is selected now
      send(message);
    },
    grid,
    classes: () => model.get("classes"),
    colours: () => model.get("colours"),
    labellers: () => model.get("labellers"),
    words: () => model.get("words"),
    offer: () => model.get("offer"),
    showBoxes: grid.toggleBoxes,
    upload: take,
    transfer(message) {
      tell();
      transfer.expect();
      send(message);
    },
    expect: transfer.expect,
  });

  const status = createStatus({
    stop() {
      if (uploader.isBusy())
        status.update({ note: "Stopped. What had come by then is in the dataset." });
      uploader.stop();
      arrivals.stop();
      transfer.stop();
      send({ kind: "stop" });
    },
  });
  const drop = make("div", { class: "wbg-drop", hidden: true }, "Drop image files to add them");
  const onlyWords = make("span", {});
  const only = make(
    "div",
    { class: "wbg-only", hidden: true, role: "status" },
    onlyWords,
    make(
      "button",
      {
        type: "button",
        class: "wb-button",
        onclick: () => send({ kind: "do", action: "widen" }),
      },
      "Show all images",
    ),
  );
  const root = make(
    "div",
    { class: "wb-gallery" },
    filter.element,
    actions.element,
    status.element,
    only,
    grid.element,
    transfer.element,
    drop,
    live,
  );
  host.append(root);

  function tell() {
    if (!telling) return;
    clearTimeout(telling);
    telling = 0;
    send({ kind: "select", listing: shown, ranges: own });
  }

  const abort = new AbortController();
  /**
   * @template {keyof Events} Type
   * @param {EventTarget} target @param {Type} type @param {(event: Events[Type]) => void} handler
   */
  const on = (target, type, handler) =>
    target.addEventListener(type, /** @type {EventListener} */ (handler), { signal: abort.signal });
  const release = ownKeys(root, grid.keyboard);
  on(root, "keydown", (event) => {
    if (event.isComposing || event.defaultPrevented) return;
    if (transfer.isOpen()) {
      if (transfer.key(event)) event.preventDefault();
      return;
    }
    const target = /** @type {Element} */ (event.target);
    const isTyping = target.matches("input:not([type=range]), select, textarea");
    if (isTyping || target.closest("[role=dialog], [role=menu]")) return;
    if (event.key === "/") filter.focus();
    else if (grid.isTarget(target) && grid.key(event)) {
      /* done */
    } else if (target.matches("input") || !actions.key(event)) return;
    event.preventDefault();
  });

  // Files that are dropped. JupyterLab would take them into its file browser.
  /** @param {DragEvent} event */
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  for (const type of /** @type {const} */ (["dragenter", "dragover"])) {
    on(root, type, (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.stopPropagation();
      drop.textContent = `Drop images to add them to ${actions.target().split}, or a dataset (zip, folder, annotation file) to import it`;
      drop.hidden = false;
    });
  }
  on(root, "dragleave", (event) => {
    if (!root.contains(/** @type {Node|null} */ (event.relatedTarget))) drop.hidden = true;
  });
  on(root, "drop", (event) => {
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    drop.hidden = true;
    addDropped(droppedOn(event.dataTransfer));
  });
  on(window, "beforeunload", (event) => {
    if (uploader.isBusy() || arrivals.isBusy()) event.preventDefault(); // what is not sent yet would be lost
  });

  /** @type {Receiver<GalleryModel>} */
  const receive = (received, buffers) => {
    if (received.to && received.to !== session) return;
    if (received.kind === "items") grid.receive(received, buffers);
    else if (received.kind === "completions") filter.receive(received);
    else if (received.kind === "uploaded") uploader.acknowledged(received);
    else if (received.kind === "arrived")
      received.refused ? arrivals.stop() : arrivals.acknowledged(received);
    else transfer.receive(received, buffers);
  };
  model.on("msg:custom", receive);

  /** @type {ReturnType<typeof model.get<"selection">> | null} */
  let followed = null;
  function follow() {
    const listing = model.get("listing");
    const { id, total = 0 } = listing;
    if (id !== undefined && id !== shown) {
      shown = id;
      clearTimeout(telling);
      telling = 0;
      grid.setListing({ ...listing, id, total });
    }
    const selection = model.get("selection");
    if (selection.listing === shown && selection.by !== session && selection !== followed) {
      own = selection.ranges ?? [];
      grid.adopt(own);
    }
    followed = selection;
    const isOfBoxes = listing.mode === "objects" || listing.mode === "suggested";
    const what = isOfBoxes ? "box" : "image";
    /** @param {number} n */
    const words = (n) =>
      `${n.toLocaleString("en")} ${n === 1 ? what : what === "box" ? "boxes" : "images"}`;
    const isPart = listing.mode === "images" && listing.of !== undefined && listing.of !== total;
    filter.update({
      query: listing.query ?? "",
      problem: model.get("problem"),
      sorts: listing.mode !== "suggested", // which has orders of its own beside its actions
      count:
        listing.id === undefined
          ? ""
          : isPart
            ? `${total.toLocaleString("en")} of ${words(listing.of ?? 0)}`
            : words(total),
    });
    actions.update({
      mode: listing.mode ?? "images",
      count: grid.selectionCount(),
      total,
      undo: model.get("undo"),
      dataset: listing.dataset ?? "",
      tags: model.get("tags"),
    });
    root.dataset.mode = listing.mode ?? "images";
    const page = model.get("transfer");
    const state = model.get("transfer_state");
    const isOpen = Boolean(page.kind);
    const isShown = isOpen || Boolean(state.progress?.what);
    status.update({
      status: isShown ? (state.status ?? {}) : model.get("status"),
      progress: isShown ? (state.progress ?? {}) : model.get("progress"),
      isOpen,
    });
    for (const own of [filter.element, actions.element, grid.element]) own.hidden = isOpen;
    only.hidden = isOpen || !listing.only;
    onlyWords.textContent = `Just ${words(total)} ${listing.only ?? ""}`;
    grid.element.style.height = `${model.get("height")}px`;
    transfer.element.style.height = `${model.get("height") + ROOM_OF_BARS}px`;
    transfer.update(page);
  }
  const relabel = () => {
    grid.relabel();
    actions.relabel();
  };
  for (const name of WATCHED) model.on(`change:${name}`, follow);
  for (const name of ["classes", "colours"]) model.on(`change:${name}`, relabel);
  follow();
  root.galleryStats = grid.stats; // for measurements

  return () => {
    tell();
    clearTimeout(telling);
    kernel.close();
    abort.abort();
    release();
    for (const name of WATCHED) model.off(`change:${name}`, follow);
    for (const name of ["classes", "colours"]) model.off(`change:${name}`, relabel);
    model.off("msg:custom", receive);
    filter.close();
    grid.close();
    root.remove();
  };
}
