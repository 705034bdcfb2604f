/**
 * One page of a capture panel. Puts the parts together: what the user does goes to the
 * kernel, what the kernel says is shown. Whether something is saved only the kernel knows.
 */
/** @import { CameraMessage, CameraModel, Events, Feed, Receiver } from "../../types.d.ts" */
/** @import { Problem } from "../../live/static/problems.mjs" */

import { createMeter } from "../../live/static/flow.mjs";
import { createLiveSource } from "../../live/static/live_source.mjs";
import { createPlayer } from "../../live/static/player.mjs";
import { createStage } from "../../live/static/stage.mjs";
import { allow, make, setAttribute, setText } from "../../shared/static/dom.mjs";
import { createSender } from "../../shared/static/kernel.mjs";
import { keyOf } from "../../shared/static/letters.mjs";
import { ownKeys } from "../../shared/static/own_keys.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createUploader } from "../../shared/static/upload.mjs";
import { createControls } from "./controls.mjs";
import { createGesture } from "./gesture.mjs";
import { createNumbers, noneLeft } from "./numbers.mjs";
import { createStrip } from "./strip.mjs";

const SILENCE_MS = 4000;
const FLASH_RATE = 4;

/** What the kernel is told of a camera that failed: no buttons are near it there. @param {Problem | null} problem */
function inWords(problem) {
  if (!problem) return "";
  return `${problem.title}. ${problem.text.replace(/[,.:]? *(or|Or)? use one of these:$/, ".")}`;
}

/**
 * @param {CameraModel} model anywidget's
 * @param {HTMLElement} host
 * @returns {() => void} clean-up
 */
export function mountCamera(model, host) {
  const session = pageSession();
  const kernel = createSender(model, () => {
    isGone = true;
    begins = false;
    stage.use(true);
    source.kernelGone();
    root.dataset.recording = "false";
  });
  /** @param {CameraMessage} message @param {ArrayBuffer[]} buffers */
  const send = (message, buffers = []) => kernel.send({ ...message, session }, buffers);
  const settings = () => model.get("settings");
  const status = () => model.get("status");
  const live = make("div", { class: "wb-live", "aria-live": "polite" });
  const saved = createMeter();
  const abort = new AbortController();
  /**
   * @template {keyof Events} Type
   * @param {EventTarget} target @param {Type} type @param {(event: Events[Type]) => void} handler
   */
  const on = (target, type, handler) =>
    target.addEventListener(type, /** @type {EventListener} */ (handler), { signal: abort.signal });
  const left = noneLeft(); // frames of this recording that this page did not send, by reason
  let isGone = false;
  let begins = false; // a recording was asked for and the kernel has not said so yet

  const stage = createStage({ seen: (id) => send({ kind: "seen", id }) });
  const uploader = createUploader({ send, failed: (text) => setText(notice, text) });
  const source = createLiveSource({
    stage,
    send,
    frames: {
      // Between press and the kernel's word all frames are wanted: the first ones count.
      rate: () => (begins ? 0 : model.get("rate")),
      window: () => model.get("window"),
      quality: () => model.get("quality"),
      together: 3,
      left(why, inARow) {
        // A recording at a rate gets twice as many frames as it needs: one that is missing is
        // no loss.
        if (!status().recording || (model.get("rate") > 0 && inARow < 2)) return;
        left[why === "way" && status().slow ? "disk" : why] += 1;
      },
    },
    upload: (files) => uploader.add(files, "train"),
    starting() {
      isGone = false;
    },
    stopping: () => gesture.cancel(),
    opened({ name, facing }) {
      const front = facing ? facing === "user" : navigator.maxTouchPoints === 0;
      stage.element.dataset.facing = front ? "front" : "back";
      send({ kind: "camera", on: true, name });
    },
    closed(problem) {
      gesture.cancel();
      begins = false;
      send({ kind: "camera", on: false, failed: problem !== null, why: inWords(problem) });
    },
    changed() {
      if (camera.isOn()) source.stop();
    },
  });
  const { camera, bar, help } = source;
  const controls = createControls({ set: (name, value) => send({ kind: "set", name, value }) });
  const numbers = createNumbers();
  const strip = createStrip({ remove: (id) => send({ kind: "remove", id }) });
  const player = createPlayer({ send });

  // The record button.

  const record = make(
    "button",
    { type: "button", class: "wbc-record", "aria-label": "Take a picture", "aria-describedby": "" },
    make("span", {}),
  );
  const NO_FRAMES = "No frames come yet: press Start, or choose where they come from.";
  /** Why nothing can be taken now. */
  function whyNot() {
    const { kind, status: state = "" } = model.get("feed");
    const fromKernel = kind && kind !== "browser" && ["opening", "live", "stalled"].includes(state);
    return camera.isOn() || fromKernel || status().recording || begins ? "" : NO_FRAMES;
  }
  /** Whether a press would take something; says why not. */
  function canTake() {
    const reason = whyNot();
    if (reason) say(reason, "problem");
    return !reason;
  }
  const gesture = createGesture({
    mode: () => settings().mode ?? "hand",
    recording: () => Boolean(status().recording) || begins,
    pressed: (flag) => record.classList.toggle("wbc-pressed", flag),
    grab: () => camera.grab(),
    shoot() {
      if ((settings().countdown ?? 0) > 0) camera.dropGrab();
      else if (camera.isOn() && camera.shoot()) return;
      send({ kind: "press", held: false, shoot: true });
    },
    begin(held) {
      camera.dropGrab();
      begins = true;
      Object.assign(left, noneLeft());
      send({ kind: "press", held, shoot: false });
    },
    end() {
      begins = false;
      send({ kind: "release" });
    },
  });
  const undo = make(
    "button",
    {
      type: "button",
      class: "wb-button",
      onclick: () => send({ kind: "undo" }),
    },
    "Undo",
  );
  const redo = make(
    "button",
    {
      type: "button",
      class: "wb-button",
      onclick: () => send({ kind: "redo" }),
    },
    "Redo",
  );
  const speed = make("span", { class: "wbc-speed" });
  const total = make("span", { class: "wbc-total" });
  const deck = make(
    "div",
    { class: "wbc-deck" },
    make("div", { class: "wbc-side" }, total, speed),
    record,
    make("div", { class: "wbc-side wbc-right" }, undo, redo),
  );
  const notice = make("div", { class: "wbc-notice", role: "status" });
  const root = make(
    "div",
    {
      class: "wb-camera",
      tabindex: "0",
      "aria-label": "Capture",
    },
    bar.element,
    make(
      "div",
      { class: "wbc-main" },
      make("div", { class: "wbc-left" }, stage.element, player.element, deck),
      make("div", { class: "wbc-aside" }, controls.element, numbers.element),
    ),
    strip.element,
    notice,
    live,
  );
  host.append(root);

  on(record, "pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    root.focus({ preventScroll: true });
    record.setPointerCapture(event.pointerId);
    if (canTake()) gesture.down("pointer");
  });
  on(record, "pointerup", () => gesture.up("pointer"));
  on(record, "pointercancel", () => gesture.cancel());
  on(record, "lostpointercapture", () => gesture.up("pointer"));
  on(record, "contextmenu", (event) => event.preventDefault()); // what a long touch brings
  on(record, "click", (event) => {
    if (event.detail === 0 && canTake()) gesture.click();
  });
  on(window, "blur", () => gesture.cancel());

  /** @param {KeyboardEvent} event */
  const isShutter = (event) =>
    event.key === " " &&
    !(
      /** @type {Element} */ (event.target).closest(
        "input, select, summary, .wb-button, .wbc-remove, .wbc-card button",
      )
    );
  const release = ownKeys(root);
  on(root, "keydown", (event) => {
    if (event.isComposing) return;
    if (isShutter(event)) {
      event.preventDefault();
      if (!event.repeat && canTake()) gesture.down("key");
    } else if (
      (event.ctrlKey || event.metaKey) &&
      keyOf(event).toLowerCase() === "z" &&
      !(/** @type {Element} */ (event.target).matches("input[type=text], input[type=number]"))
    ) {
      event.preventDefault();
      if (!event.repeat) send({ kind: event.shiftKey ? "redo" : "undo" });
    }
  });
  on(root, "keyup", (event) => {
    if (event.key !== " ") return;
    if (isShutter(event)) event.preventDefault();
    gesture.up("key");
  });
  on(root, "focusout", (event) => {
    if (!root.contains(/** @type {Node | null} */ (event.relatedTarget))) gesture.cancel();
  });

  // What the kernel says.

  /** @type {Receiver<CameraModel>} */
  const receive = (message, buffers) => {
    if (message.to && message.to !== session) return;
    if (message.kind === "ack") message.seqs.forEach(camera.acknowledge);
    else if (message.kind === "preview") {
      if (camera.isOn()) send({ kind: "seen", id: message.id });
      else stage.paint(message.id, buffers[0]);
    } else if (message.kind === "boxes") stage.showBoxes(message.rows);
    else if (message.kind === "countdown") stage.countDown(message.seconds);
    else if (message.kind === "strip") strip.receive(message, buffers);
    else if (message.kind === "saved") {
      for (let i = 0; i < message.count; i++) saved.note(performance.now());
      // In a fast burst the page would flash all the time, and painting it would cost frames.
      if (saved.rate(performance.now()) < FLASH_RATE) stage.flash();
    } else if (message.kind === "uploaded") uploader.acknowledged(message);
    else if (message.kind === "owner") source.takenOver();
  };
  model.on("msg:custom", receive);

  /** @type {boolean | null | undefined} */
  let wasRecording = null;
  /** Numbers, ten times a second while a burst is recorded. */
  function followStatus() {
    const now = status();
    if (now.recording) begins = false;
    if (now.recording && !wasRecording) Object.assign(left, noneLeft());
    if (now.recording !== wasRecording) {
      root.dataset.recording = String(Boolean(now.recording));
      nameButton();
    }
    wasRecording = now.recording;
    root.dataset.saving = String(Boolean(now.saving));
    numbers.update(now, left, settings().detections);
    setText(total, `${(now.saved ?? 0).toLocaleString("en")} saved`);
    allow(undo, now.saved ? "" : "Nothing was taken yet.", "Undo the last picture (Ctrl+Z)");
    allow(redo, now.undone ? "" : "Nothing was undone.", "Bring it back (Ctrl+Shift+Z)");
    badge();
  }

  function nameButton() {
    const toggles = (settings().mode ?? "hand") !== "hand";
    const label = status().recording
      ? "Stop recording"
      : toggles
        ? "Start recording"
        : "Take a picture; hold for a burst";
    setAttribute(record, "aria-label", label);
    allow(record, whyNot(), `${label} (Space)`);
  }

  function followSettings() {
    nameButton();
    controls.update(settings(), {
      datasets: model.get("datasets"),
      asks: model.get("asks_dataset"),
      classes: model.get("classes"),
      model: model.get("model"),
    });
  }

  /** @param {string} text @param {string} tone */
  function say(text, tone) {
    setText(notice, text);
    notice.dataset.tone = tone;
  }

  function followNotice() {
    const { text = "", tone = "info" } = model.get("notice");
    say(text, tone);
  }

  /** @type {Feed | null} */
  let shownFeed = null;
  function followFeed() {
    const feed = model.get("feed");
    const isKernel = Boolean(feed.kind) && feed.kind !== "browser";
    if (
      feed.kind &&
      isKernel &&
      (shownFeed?.kind !== feed.kind || shownFeed?.status !== feed.status)
    ) {
      bar.choose(feed.kind);
      bar.place(feed.kind, feed.place ?? "");
      bar.on(["opening", "live", "stalled"].includes(feed.status ?? ""));
      stage.use(false);
      help.show(
        feed.status === "failed"
          ? { code: "feed", title: "No pictures from there", text: feed.why ?? "" }
          : null,
      );
    } else if (!isKernel && shownFeed?.kind && shownFeed.kind !== "browser") {
      bar.choose("browser");
      source.showCamera();
    }
    shownFeed = feed;
    player.update(feed.player ?? null);
    badge();
  }

  function badge() {
    nameButton();
    if (notice.textContent === NO_FRAMES && !whyNot()) followNotice();
    const feed = model.get("feed");
    const isSilent = camera.isOn() && camera.silence() > SILENCE_MS;
    if (isGone) stage.badge("", "");
    else if (isSilent)
      stage.badge("The kernel does not answer: it is busy, or was restarted", "problem");
    else if (status().recording || begins) stage.badge("● recording", "recording");
    else if (status().saving && (status().waiting ?? 0) > 0)
      stage.badge(`saving ${status().waiting} …`, "info");
    else if (feed.status === "stalled" && (camera.isOn() || feed.kind !== "browser"))
      stage.badge(feed.why ?? "", "problem");
    else if (feed.status === "opening" && !camera.isOn()) stage.badge("opening …", "info");
    else if (feed.status === "ended" && feed.kind !== "browser")
      stage.badge("the end; press Start to begin again", "info");
    else stage.badge("", "");
  }

  const following = {
    feed: followFeed,
    status: followStatus,
    settings: followSettings,
    datasets: followSettings,
    asks_dataset: followSettings,
    classes: followSettings,
    model: followSettings,
    notice: followNotice,
  };
  for (const [name, follow] of Object.entries(following)) model.on(`change:${name}`, follow);
  const clock = setInterval(() => {
    const rate = saved.rate(performance.now());
    setText(speed, rate > 0.2 ? `${rate.toFixed(rate < 10 ? 1 : 0)} a second` : "");
    if (status().recording) numbers.update(status(), left, settings().detections);
    badge();
  }, 500);
  if (navigator.mediaDevices) on(navigator.mediaDevices, "devicechange", source.listAnew);
  const leave = () => {
    gesture.cancel();
    camera.stop();
    send({ kind: "bye" });
  };
  on(window, "pagehide", leave);

  stage.mirror(false);
  source.showCamera();
  for (const follow of new Set(Object.values(following))) follow();
  send({ kind: "hello" });
  root.captureStats = { camera, saved, left: () => ({ ...left }) }; // for measurements

  return () => {
    leave();
    clearInterval(clock);
    abort.abort();
    release();
    kernel.close();
    for (const [name, follow] of Object.entries(following)) model.off(`change:${name}`, follow);
    model.off("msg:custom", receive);
    strip.close();
    root.remove();
  };
}
