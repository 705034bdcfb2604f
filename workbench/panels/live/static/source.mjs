/** The bar above the preview: where pictures come from. */
import { make } from "../../shared/static/dom.mjs";

/** @type {{kind: string, text: string, hint?: string, first?: string}[]} */
export const SOURCES = [
  { kind: "browser", text: "Camera of this browser" },
  {
    kind: "camera",
    text: "Camera of the kernel's machine",
    hint: "number or /dev/video0",
    first: "0",
  },
  { kind: "stream", text: "Stream address", hint: "rtsp://… or http://…", first: "" },
  { kind: "video", text: "Video file", hint: "path on the kernel's machine", first: "" },
  { kind: "folder", text: "Folder of images", hint: "path on the kernel's machine", first: "" },
  { kind: "generated", text: "Generated scenes" },
];
/** @type {{kind: string, text: string, hint?: string}} */
const CUSTOM = { kind: "custom", text: "Feed of your own" };
const SIZES = ["640x480", "1280x720", "1920x1080"];

/** @param {string} value @param {string} text */
function option(value, text) {
  return make("option", { value }, text);
}

/**
 * @param {{start: (kind: string, place: string) => void, stop: () => void,
 *   changed: (kind: string) => void, mirror: (on: boolean) => void}} on
 */
export function createSourceBar(on) {
  const kind = make(
    "select",
    {
      class: "wbc-field",
      "aria-label": "Source of pictures",
      onchange: () => {
        show();
        on.changed(kind.value);
      },
    },
    ...SOURCES.map((source) => option(source.kind, source.text)),
  );
  const place = make("input", {
    class: "wbc-field wbc-place",
    type: "text",
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": "Address of the source",
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") on.start(kind.value, place.value.trim());
    },
  });
  const device = make(
    "select",
    { class: "wbc-field", "aria-label": "Camera", onchange: () => restart() },
    option("", "Any camera"),
  );
  const size = make(
    "select",
    { class: "wbc-field", "aria-label": "Resolution", onchange: () => restart() },
    ...SIZES.map((text) => option(text, text.replace("x", " × "))),
  );
  size.value = "1280x720";
  const mirror = make("input", { type: "checkbox", onchange: () => on.mirror(mirror.checked) });
  const mirrorLabel = make(
    "label",
    {
      class: "wbc-check",
      title: "Mirrors what you see. Pictures are saved as the camera sees them.",
    },
    mirror,
    "Mirror",
  );
  const flip = make(
    "button",
    {
      type: "button",
      class: "wb-button",
      title: "Front or back camera",
      hidden: true,
      onclick: () => {
        facing = facing === "user" ? "environment" : "user";
        device.value = "";
        restart();
      },
    },
    "Flip",
  );
  const go = make(
    "button",
    {
      type: "button",
      class: "wb-button wbc-go",
      onclick: () => (isOn ? on.stop() : on.start(kind.value, place.value.trim())),
    },
    "Start",
  );
  const element = make(
    "div",
    { class: "wbc-source" },
    kind,
    place,
    device,
    size,
    mirrorLabel,
    flip,
    go,
  );
  const places = new Map(SOURCES.map((source) => [source.kind, source.first ?? ""]));
  let isOn = false;
  let facing = "";

  place.addEventListener("input", () => places.set(kind.value, place.value));

  function restart() {
    if (isOn && kind.value === "browser") on.start("browser", "");
  }

  function show() {
    const source = SOURCES.find((one) => one.kind === kind.value) ?? CUSTOM;
    const isBrowser = source.kind === "browser";
    place.hidden = !source.hint;
    place.placeholder = source.hint ?? "";
    place.value = places.get(source.kind) ?? "";
    for (const part of [device, size, mirrorLabel]) part.hidden = !isBrowser;
    flip.hidden = !isBrowser || !(device.options.length > 2 && navigator.maxTouchPoints > 0);
  }
  show();

  return {
    element,
    kind: () => kind.value,
    wish: () => ({ device: device.value, facing, size: size.value }),
    /** @param {string} wanted */
    choose(wanted) {
      if (wanted === "custom" && !kind.querySelector("[value=custom]"))
        kind.append(option("custom", CUSTOM.text));
      if (kind.value !== wanted) kind.value = wanted;
      show();
    },
    /** @param {string} wanted @param {string} text */
    place(wanted, text) {
      if (text) places.set(wanted, text);
      show();
    },
    /** @param {boolean} running */
    on(running) {
      isOn = running;
      go.textContent = running ? "Stop" : "Start";
      go.dataset.on = String(running);
    },
    /** @param {{id: string, name: string}[]} cameras @param {string} used */
    cameras(cameras, used) {
      device.replaceChildren(
        option("", "Any camera"),
        ...cameras.map((one) => option(one.id, one.name)),
      );
      if (used && cameras.some((one) => one.id === used)) device.value = used;
      show();
    },
    focus: () => go.focus(),
  };
}
