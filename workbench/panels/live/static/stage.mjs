/**
 * What the camera sees: the browser's own as a video, the kernel's as pictures that it sends.
 * Boxes, countdown, flash and problems lie on top.
 */
/** @import { DetectionRow, Size } from "../../types.d.ts" */

import { classColour } from "../../shared/static/colours.mjs";
import { make, setText } from "../../shared/static/dom.mjs";

const SVG = "http://www.w3.org/2000/svg";

/** Where a box goes on the stage. Pure. @param {Readonly<[number, number, number, number, ...unknown[]]>} row normalised centre and size @param {Size} size @param {boolean} isMirrored */
export function placedBox([x, y, width, height], size, isMirrored) {
  const left = isMirrored ? 1 - x - width / 2 : x - width / 2;
  return {
    x: left * size.width,
    y: (y - height / 2) * size.height,
    width: width * size.width,
    height: height * size.height,
  };
}

/**
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number>} attributes
 */
function svgElement(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

/** A beep of a countdown. Browsers allow sound after the first click. */
export function createBeeper() {
  /** @type {AudioContext | null} */
  let context = null;
  return (/** @type {boolean} */ isLast) => {
    try {
      context ??= new AudioContext();
      const tone = context.createOscillator();
      const volume = context.createGain();
      tone.frequency.value = isLast ? 1320 : 880;
      volume.gain.setValueAtTime(0.12, context.currentTime);
      volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + (isLast ? 0.35 : 0.12));
      tone.connect(volume).connect(context.destination);
      tone.start();
      tone.stop(context.currentTime + 0.4);
    } catch {
      // No sound device: the numbers on the stage show the countdown too.
    }
  };
}

/** @param {{seen: (id: number) => void}} options */
export function createStage({ seen }) {
  const video = make("video", {
    class: "wbc-video",
    playsinline: true,
    muted: true,
    autoplay: true,
    "aria-label": "What the camera sees",
  });
  video.muted = true;
  const canvas = make("canvas", {
    class: "wbc-picture",
    role: "img",
    "aria-label": "What the camera sees",
    hidden: true,
  });
  const boxes = svgElement("svg", { class: "wbc-boxes", "aria-hidden": "true" });
  const count = make("div", { class: "wbc-count", "aria-hidden": "true" });
  const flash = make("div", { class: "wbc-flash", "aria-hidden": "true" });
  const badge = make("div", { class: "wbc-badge" });
  const card = make("div", { class: "wbc-card", hidden: true });
  const element = make(
    "div",
    { class: "wbc-stage" },
    video,
    canvas,
    boxes,
    flash,
    count,
    badge,
    card,
  );
  const pen = canvas.getContext("2d");
  const beep = createBeeper();
  let isMirrored = false;
  let size = { width: 16, height: 9 };
  let lastPicture = -1;
  /** @type {DetectionRow[]} */
  let shownBoxes = [];

  function drawBoxes() {
    boxes.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    const font = size.height / 26;
    boxes.replaceChildren(
      ...shownBoxes.flatMap((row) => {
        const at = placedBox(row, size, isMirrored);
        const colour = classColour(row[6] ?? 0).fill;
        const text = svgElement("text", {
          x: at.x + font * 0.2,
          y: Math.max(at.y - font * 0.3, font),
          "font-size": font,
          fill: colour,
        });
        text.textContent = `${row[4]} ${Math.round(row[5] * 100)} %`;
        return [svgElement("rect", { ...at, stroke: colour }), text];
      }),
    );
  }

  video.addEventListener("resize", () => {
    size = { width: video.videoWidth || 16, height: video.videoHeight || 9 };
    drawBoxes();
  });

  return {
    element,
    video,
    card,
    /** Show the browser's camera, or what the kernel sends. @param {boolean} isBrowser */
    use(isBrowser) {
      video.hidden = !isBrowser;
      canvas.hidden = isBrowser;
      element.dataset.source = isBrowser ? "browser" : "kernel";
    },
    /** @param {boolean} on */
    mirror(on) {
      isMirrored = on;
      video.classList.toggle("wbc-mirrored", on);
      drawBoxes();
    },
    /** @param {number} id @param {DataView<ArrayBuffer>} data a JPEG file */
    async paint(id, data) {
      try {
        const picture = await createImageBitmap(new Blob([data], { type: "image/jpeg" }));
        if (id > lastPicture) {
          lastPicture = id;
          if (canvas.width !== picture.width) canvas.width = picture.width;
          if (canvas.height !== picture.height) canvas.height = picture.height;
          pen?.drawImage(picture, 0, 0);
          canvas.dataset.painted = String(id);
          if (!canvas.hidden && (size.width !== picture.width || size.height !== picture.height)) {
            size = { width: picture.width, height: picture.height };
            drawBoxes();
          }
        }
        picture.close();
      } finally {
        seen(id);
      }
    },
    blank() {
      pen?.clearRect(0, 0, canvas.width, canvas.height);
      shownBoxes = [];
      drawBoxes();
    },
    /** @param {DetectionRow[]} rows */
    showBoxes(rows) {
      shownBoxes = rows;
      drawBoxes();
    },
    /** @param {number} seconds */
    countDown(seconds) {
      setText(count, seconds > 0 ? String(seconds) : "");
      if (seconds >= 0) beep(seconds === 0);
    },
    flash() {
      flash.classList.remove("wbc-lit");
      void flash.offsetWidth; // so that the animation begins anew
      flash.classList.add("wbc-lit");
    },
    /** @param {string} text @param {string} tone */
    badge(text, tone) {
      setText(badge, text);
      badge.dataset.tone = tone;
    },
  };
}
