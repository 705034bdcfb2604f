/**
 * A stage to try a model on: a picture, a video, or a camera. The parts are those of the
 * capture panel; what is added is the slider, and that nothing runs on a page that is hidden.
 */
/** @import { Feed, Receiver, TrialMessage, TrialModel, View } from "../../types.d.ts" */

import { createLiveSource } from "../../live/static/live_source.mjs";
import { createPlayer } from "../../live/static/player.mjs";
import { createStage } from "../../live/static/stage.mjs";
import { make } from "../../shared/static/dom.mjs";
import { createSender } from "../../shared/static/kernel.mjs";
import { ownKeys } from "../../shared/static/own_keys.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createUploader } from "../../shared/static/upload.mjs";
import { createSlider } from "./trial_boxes.mjs";

const RUNNING = ["opening", "live", "stalled"];

/** What the badge on the stage says. Pure. @param {Feed} feed @param {boolean} isOn @returns {[string, string]} text and tone */
export function badgeOf(feed, isOn) {
  if (feed.status === "stalled") return [feed.why ?? "", "problem"];
  if (feed.status === "opening" && !isOn) return ["opening …", "info"];
  if (feed.status === "ended") return ["the end; press Start to begin again", "info"];
  return ["", ""];
}

/** @param {TrialModel} model @param {HTMLElement} host */
function mountTrial(model, host) {
  const session = pageSession();
  const kernel = createSender(model, () => source.kernelGone());
  /** @param {TrialMessage} message @param {ArrayBuffer[]} buffers */
  const send = (message, buffers = []) => kernel.send({ ...message, session }, buffers);
  const abort = new AbortController();
  /** @param {EventTarget} target @param {string} type @param {(event: Event) => void} handler */
  const on = (target, type, handler) =>
    target.addEventListener(type, handler, { signal: abort.signal });
  let painted = 0; // pictures of several sources come on one stage: numbered anew here
  /** The kernel's numbers of previews, by ours. @type {Map<number, number>} */
  const sources = new Map();
  let isShown = false;

  const stage = createStage({
    seen(number) {
      const id = sources.get(number);
      if (id !== undefined) send({ kind: "seen", id });
      sources.delete(number);
    },
  });
  /** @param {DataView<ArrayBuffer>} data @param {number | null} id */
  const paint = (data, id = null) => {
    painted += 1;
    if (id !== null) sources.set(painted, id);
    return stage.paint(painted, data);
  };
  const uploader = createUploader({ send, failed: () => {} });
  /** @param {File[]} files */
  const upload = (files) => uploader.add(files.slice(0, 1), "");
  const source = createLiveSource({
    stage,
    send,
    frames: {
      rate: () => model.get("rate"),
      window: () => model.get("window"),
      quality: () => model.get("quality"),
      left: () => {}, // the model looks at the newest only: one that is missing is no loss
    },
    upload,
    opened: ({ name }) => send({ kind: "camera", on: true, name }),
    closed: () => send({ kind: "camera", on: false }),
    changed: () => source.stop(),
    isWanted: () => isShown,
  });
  const { camera, bar, help } = source;
  const player = createPlayer({ send });
  const slider = createSlider({ model, show: (rows) => stage.showBoxes(rows) });
  const file = make("input", {
    type: "file",
    accept: "image/*",
    hidden: true,
    "aria-label": "Picture file",
    onchange: () => {
      upload([...(file.files ?? [])]);
      file.value = "";
    },
  });
  bar.element.append(
    make(
      "button",
      { type: "button", class: "wb-button wbt-upload", onclick: () => file.click() },
      "Upload a picture",
    ),
    file,
  );
  const root = make(
    "div",
    {
      class: "wb-camera wb-trial",
      role: "group",
      "aria-label": "Try the model",
    },
    bar.element,
    make("div", { class: "wbt-main" }, slider.element, stage.element, player.element),
  );
  host.append(root);
  const letGo = ownKeys(root);

  /** While the page is hidden, its camera and the kernel's camera are stopped. */
  function look() {
    const isNow = root.isConnected && root.clientWidth > 0 && !document.hidden;
    if (isNow === isShown) return;
    isShown = isNow;
    if (isNow) send({ kind: "shown" });
    else leave();
  }
  function leave() {
    source.release();
    isShown = false;
    send({ kind: "hidden" });
  }

  /** @type {Receiver<TrialModel>} */
  const receive = (message, buffers) => {
    if (message.to && message.to !== session) return;
    if (message.kind === "ack") camera.acknowledge(message.seq);
    else if (message.kind === "preview") paint(buffers[0], message.id);
    else if (message.kind === "boxes") slider.receive(message);
    else if (message.kind === "uploaded") uploader.acknowledged(message);
    else if (message.kind === "halt") source.release();
    else if (message.kind === "still") {
      source.release();
      bar.on(false);
      help.show(null);
      stage.use(false);
      stage.badge("", "");
      paint(buffers[0]);
    } else if (message.kind === "owner") source.takenOver();
  };
  function follow() {
    const feed = model.get("feed");
    player.update(feed.player ?? null);
    stage.badge(...badgeOf(feed, camera.isOn()));
    if (!feed.kind || feed.kind === "browser") return;
    const isRunning = RUNNING.includes(feed.status ?? "");
    if (isRunning) {
      source.release();
      bar.choose(feed.kind);
      bar.place(feed.kind, feed.place ?? "");
      stage.use(false);
      help.show(null);
    } else if (feed.status === "failed")
      help.show({ code: "feed", title: "No pictures from there", text: feed.why ?? "" });
    bar.on(isRunning || camera.isOn());
  }

  model.on("msg:custom", receive);
  model.on("change:feed", follow);
  model.on("change:confidence", slider.refresh);
  on(document, "visibilitychange", look);
  on(window, "pagehide", leave);
  const watcher = new ResizeObserver(look);
  watcher.observe(root);

  stage.mirror(false);
  source.showCamera();
  slider.refresh();
  follow();

  return () => {
    watcher.disconnect();
    abort.abort();
    letGo();
    leave();
    kernel.close();
    uploader.stop();
    model.off("msg:custom", receive);
    model.off("change:feed", follow);
    model.off("change:confidence", slider.refresh);
    root.remove();
  };
}

export default function trial() {
  return {
    /** @param {View<TrialModel>} view */
    render({ model, el }) {
      return mountTrial(model, el);
    },
  };
}
