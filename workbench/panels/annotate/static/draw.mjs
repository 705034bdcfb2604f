/**
 * Painting: the picture, the boxes at rest, and what the hand is moving right now, each on
 * a canvas of its own, so that a moving box costs the same beside 0 and 2,000 others.
 *
 * @typedef {import("./document.mjs").Box} Box
 * @typedef {import("./geometry.mjs").Viewport} Viewport
 * @typedef {{names: string[], colours: string[], fillOpacity: number, selection: Set<number>, locked: Set<number>, bare: Set<number>}} Look  bare: selected, but without handles
 * @typedef {{box: Box, screen: Xyxy}} Item  `screen`: where the box is on the stage
 */
/** @import { Size, Xyxy } from "../../types.d.ts" */
import { classColour } from "../../shared/static/colours.mjs";
import { toScreen } from "./geometry.mjs";

const FONT = "12px system-ui, sans-serif";
const LABEL_HEIGHT = 17;
/** Boxes narrower than this on the screen show their label only while selected. */
const LABEL_MIN_WIDTH = 14;
const HANDLE_SIDE = 8;
/** Source of boxes that are shown beside one's own while a conflict waits for a decision. */
export const IN_FILE = "file";

/** Set a canvas up for drawing in CSS pixels, and wipe it. @param {HTMLCanvasElement} canvas @param {Size} size @param {number} ratio */
export function prepare(canvas, size, ratio) {
  const width = Math.max(Math.round(size.width * ratio), 1);
  const height = Math.max(Math.round(size.height * ratio), 1);
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context) throw new Error("the browser has no canvas left");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size.width, size.height);
  return context;
}

/**
 * @param {CanvasRenderingContext2D} context @param {Viewport} view
 * @param {ImageBitmap} bitmap may have fewer pixels than the image
 * @param {Size} image
 */
export function drawPicture(context, view, bitmap, image) {
  // Above 2:1 single pixels are what a person wants to see, not a blur.
  context.imageSmoothingEnabled = view.scale < 2;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, view.x, view.y, image.width * view.scale, image.height * view.scale);
}

/** @param {CanvasRenderingContext2D} context @param {Viewport} view @param {Box[]} boxes @param {Look} look @param {Size} stage */
export function drawBoxes(context, view, boxes, look, stage) {
  const visible = boxes
    .map((box) => ({ box, screen: toScreen(view, box.xyxy) }))
    .filter(
      ({ screen }) =>
        screen[2] >= 0 && screen[3] >= 0 && screen[0] <= stage.width && screen[1] <= stage.height,
    );
  /** @param {{box: Box}} item */
  const selected = ({ box }) => look.selection.has(box.id);
  for (const item of visible) if (!selected(item)) drawBox(context, item, look, false);
  for (const item of visible) if (!selected(item)) drawLabel(context, item, look, stage, false);
  for (const item of visible) if (selected(item)) drawBox(context, item, look, true);
  for (const item of visible) if (selected(item)) drawLabel(context, item, look, stage, true);
}

/** @param {CanvasRenderingContext2D} context @param {Item} item @param {Look} look @param {boolean} isSelected */
function drawBox(context, { box, screen }, look, isSelected) {
  const { fill } = classColour(box.cls, look.colours);
  const [left, top, right, bottom] = screen;
  const [width, height] = [right - left, bottom - top];
  context.globalAlpha = isSelected ? Math.min(look.fillOpacity + 0.12, 1) : look.fillOpacity;
  context.fillStyle = fill;
  context.fillRect(left, top, width, height);
  context.globalAlpha = 1;
  context.setLineDash([]);
  // A dark line below the coloured one keeps the edge visible on any picture.
  context.lineWidth = isSelected ? 5 : 3.5;
  context.strokeStyle = isSelected ? "#ffffff" : "rgba(0, 0, 0, 0.65)";
  context.strokeRect(left, top, width, height);
  if (box.proposal) context.setLineDash([7, 5]);
  context.lineWidth = isSelected ? 2.5 : 1.75;
  context.strokeStyle = fill;
  context.strokeRect(left, top, width, height);
  context.setLineDash([]);
  if (isSelected && !look.locked.has(box.id) && !look.bare.has(box.id))
    drawHandles(context, screen);
}

/** @param {CanvasRenderingContext2D} context @param {Xyxy} screen */
function drawHandles(context, [left, top, right, bottom]) {
  const wide = right - left > 3 * HANDLE_SIDE;
  const high = bottom - top > 3 * HANDLE_SIDE;
  const [middleX, middleY] = [(left + right) / 2, (top + bottom) / 2];
  const corners = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  const edges = [
    ...(wide
      ? [
          [middleX, top],
          [middleX, bottom],
        ]
      : []),
    ...(high
      ? [
          [left, middleY],
          [right, middleY],
        ]
      : []),
  ];
  context.fillStyle = "#ffffff";
  context.strokeStyle = "#101010";
  context.lineWidth = 1;
  for (const [x, y] of [...corners, ...edges]) {
    context.fillRect(x - HANDLE_SIDE / 2, y - HANDLE_SIDE / 2, HANDLE_SIDE, HANDLE_SIDE);
    context.strokeRect(x - HANDLE_SIDE / 2, y - HANDLE_SIDE / 2, HANDLE_SIDE, HANDLE_SIDE);
  }
}

/** What is written beside a box. @param {Box} box @param {string[]} names @param {boolean} isLocked */
export function labelText(box, names, isLocked) {
  const name = names[box.cls] ?? `class ${box.cls}?`;
  if (box.proposal?.source === IN_FILE) return `${name} (in the file)`;
  const score = box.proposal ? ` ${Math.round(box.proposal.score * 100)}%?` : "";
  return name + score + (isLocked ? " (locked)" : "");
}

/** @type {Map<string, number>} */
const textWidths = new Map();

/** @param {CanvasRenderingContext2D} context @param {string} text */
function textWidth(context, text) {
  let width = textWidths.get(text);
  if (width === undefined) {
    if (textWidths.size > 5000) textWidths.clear();
    width = context.measureText(text).width;
    textWidths.set(text, width);
  }
  return width;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Item} item
 * @param {Look} look
 * @param {Size} stage
 * @param {boolean} isSelected
 */
function drawLabel(context, { box, screen }, look, stage, isSelected) {
  const [left, top, right, bottom] = screen;
  if (!isSelected && right - left < LABEL_MIN_WIDTH) return;
  const text = labelText(box, look.names, look.locked.has(box.id));
  const { fill, ink } = classColour(box.cls, look.colours);
  context.font = FONT;
  const width = textWidth(context, text) + 10;
  // Above the box; inside where the stage ends; never left of the visible part of the box.
  const above = top - LABEL_HEIGHT - 1;
  const y = above >= 0 ? above : Math.min(Math.max(top + 1, 0), Math.max(bottom - LABEL_HEIGHT, 0));
  const x = Math.min(Math.max(left - 1, 0), Math.max(stage.width - width, 0));
  context.fillStyle = fill;
  context.fillRect(x, y, width, LABEL_HEIGHT);
  if (isSelected) {
    context.strokeStyle = "#ffffff";
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, width - 1, LABEL_HEIGHT - 1);
  }
  context.fillStyle = ink;
  context.textBaseline = "middle";
  context.fillText(text, x + 5, y + LABEL_HEIGHT / 2 + 0.5);
}

/**
 * Guides through the pointer.
 * @param {CanvasRenderingContext2D} context @param {import("./geometry.mjs").Point} point @param {Size} stage
 */
export function drawCrosshair(context, point, stage) {
  for (const { width, colour } of [
    { width: 3, colour: "rgba(0, 0, 0, 0.45)" },
    { width: 1, colour: "rgba(255, 255, 255, 0.9)" },
  ]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.beginPath();
    context.moveTo(point.x, 0);
    context.lineTo(point.x, stage.height);
    context.moveTo(0, point.y);
    context.lineTo(stage.width, point.y);
    context.stroke();
  }
}

/** The rectangle that selects many boxes. @param {CanvasRenderingContext2D} context @param {Xyxy} screen */
export function drawMarquee(context, [left, top, right, bottom]) {
  context.setLineDash([4, 4]);
  for (const { offset, colour } of [
    { offset: 0, colour: "#101010" },
    { offset: 4, colour: "#ffffff" },
  ]) {
    context.lineDashOffset = offset;
    context.lineWidth = 1;
    context.strokeStyle = colour;
    context.strokeRect(left, top, right - left, bottom - top);
  }
  context.setLineDash([]);
}
