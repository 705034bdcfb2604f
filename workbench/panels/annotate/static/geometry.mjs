/**
 * Boxes and viewports as plain numbers: no DOM, no state.
 *
 * Two coordinate frames occur: *image* (pixels of the stored image, origin at the top
 * left corner of the top left pixel) and *screen* (CSS pixels of the stage, origin at
 * its top left corner). `screen = image * scale + offset`.
 *
 * @typedef {{x: number, y: number}} Point
 * @typedef {{scale: number, x: number, y: number}} Viewport  CSS pixels for each image pixel, and offset
 * @typedef {"nw"|"n"|"ne"|"e"|"se"|"s"|"sw"|"w"} Handle
 */
/** @import { Size, Xyxy } from "../../types.d.ts" */

/** Smallest side of a box in image pixels. */
export const MIN_SIDE = 1;
/** CSS pixels around an image that fills the stage. */
export const FIT_MARGIN = 8;
/** Zoom stops, in CSS pixels for each image pixel. */
export const MAX_SCALE = 64;

/** @param {number} value @param {number} low @param {number} high */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** @param {Viewport} view @param {Point} point in screen pixels @returns {Point} */
export function toImage(view, point) {
  return { x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale };
}

/** @param {Viewport} view @param {Xyxy} box @returns {Xyxy} in screen pixels */
export function toScreen(view, box) {
  const { scale, x, y } = view;
  return [box[0] * scale + x, box[1] * scale + y, box[2] * scale + x, box[3] * scale + y];
}

/**
 * The viewport that shows the whole image, centred; never above 8 screen pixels for each pixel.
 * @param {Size} image @param {Size} stage @param {number} margin CSS pixels @returns {Viewport}
 */
export function fitViewport(image, stage, margin = FIT_MARGIN) {
  const width = Math.max(stage.width - 2 * margin, 1);
  const height = Math.max(stage.height - 2 * margin, 1);
  const scale = Math.min(width / image.width, height / image.height, 8);
  return centred(image, stage, scale);
}

/** @param {Size} image @param {Size} stage @param {number} scale @returns {Viewport} */
export function centred(image, stage, scale) {
  return {
    scale,
    x: (stage.width - image.width * scale) / 2,
    y: (stage.height - image.height * scale) / 2,
  };
}

/**
 * Zoom by `factor` so that the image point under `at` stays there.
 * @param {Viewport} view @param {number} factor @param {Point} at screen pixels
 * @param {number} minScale @returns {Viewport}
 */
export function zoomAt(view, factor, at, minScale) {
  const scale = clamp(view.scale * factor, minScale, MAX_SCALE);
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

/**
 * Push a viewport back so that at least `keep` CSS pixels of the image stay on the stage.
 * @param {Viewport} view @param {Size} image @param {Size} stage @param {number} keep
 * @returns {Viewport}
 */
export function keepInSight(view, image, stage, keep = 48) {
  const width = image.width * view.scale;
  const height = image.height * view.scale;
  return {
    scale: view.scale,
    x: clamp(view.x, Math.min(keep, stage.width) - width, Math.max(stage.width - keep, 0)),
    y: clamp(view.y, Math.min(keep, stage.height) - height, Math.max(stage.height - keep, 0)),
  };
}

/**
 * The box between two points, its edges on whole pixels and inside the image.
 * @param {Point} a image pixels @param {Point} b image pixels @param {Size} image
 * @returns {Xyxy}
 */
export function boxBetween(a, b, image) {
  const [left, right] = span(a.x, b.x, image.width);
  const [top, bottom] = span(a.y, b.y, image.height);
  return [left, top, right, bottom];
}

/** Two coordinates as an ordered pair on whole pixels, inside `0..limit`, not empty. @param {number} a @param {number} b @param {number} limit @returns {[number, number]} */
function span(a, b, limit) {
  const low = clamp(Math.round(Math.min(a, b)), 0, limit);
  const high = clamp(Math.round(Math.max(a, b)), 0, limit);
  if (high - low >= MIN_SIDE) return [low, high];
  const start = clamp(low, 0, Math.max(limit - MIN_SIDE, 0));
  return [start, Math.min(start + MIN_SIDE, limit)];
}

/**
 * The part of a shift by whole pixels that keeps all `boxes` inside the image.
 * @param {Xyxy[]} boxes @param {number} dx @param {number} dy @param {Size} image
 * @returns {Point}
 */
export function allowedShift(boxes, dx, dy, image) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const box of boxes) {
    left = Math.min(left, box[0]);
    top = Math.min(top, box[1]);
    right = Math.max(right, box[2]);
    bottom = Math.max(bottom, box[3]);
  }
  return {
    x: clamp(Math.round(dx), Math.min(-left, 0), Math.max(image.width - right, 0)),
    y: clamp(Math.round(dy), Math.min(-top, 0), Math.max(image.height - bottom, 0)),
  };
}

/** @param {Xyxy} box @param {Point} shift @returns {Xyxy} */
export function shifted(box, shift) {
  return [box[0] + shift.x, box[1] + shift.y, box[2] + shift.x, box[3] + shift.y];
}

/**
 * Put the edges that `handle` holds at a point; dragging past the opposite edge turns the box over.
 * The edges that the handle does not hold stay bit for bit.
 * @param {Xyxy} box @param {Handle} handle @param {Point} to image pixels @param {Size} image
 * @returns {Xyxy}
 */
export function resized(box, handle, to, image) {
  const [left, right] = movedEdges(box[0], box[2], handle, "w", "e", to.x, image.width);
  const [top, bottom] = movedEdges(box[1], box[3], handle, "n", "s", to.y, image.height);
  return [left, top, right, bottom];
}

/**
 * @param {number} low
 * @param {number} high
 * @param {Handle} handle
 * @param {string} lowName
 * @param {string} highName
 * @param {number} to
 * @param {number} limit
 * @returns {[number, number]}
 */
function movedEdges(low, high, handle, lowName, highName, to, limit) {
  const holdsLow = handle.includes(lowName);
  if (!holdsLow && !handle.includes(highName)) return [low, high];
  const fixed = holdsLow ? high : low;
  const edge = clamp(Math.round(to), 0, limit);
  if (edge <= fixed - MIN_SIDE) return [edge, fixed];
  if (edge >= fixed + MIN_SIDE) return [fixed, edge];
  // Too thin: stay on the side where there is room for one pixel.
  const below = holdsLow ? fixed - MIN_SIDE >= 0 : fixed + MIN_SIDE > limit;
  return below ? [fixed - MIN_SIDE, fixed] : [fixed, fixed + MIN_SIDE];
}

/**
 * A viewport in which a box is in sight: the same one, or moved so that the box is in its middle.
 * @param {Viewport} view @param {Xyxy} box image pixels @param {Size} stage @returns {Viewport}
 */
export function inSight(view, box, stage) {
  const screen = toScreen(view, box);
  if (touches(screen, [0, 0, stage.width, stage.height])) return view;
  return {
    scale: view.scale,
    x: view.x + stage.width / 2 - (screen[0] + screen[2]) / 2,
    y: view.y + stage.height / 2 - (screen[1] + screen[3]) / 2,
  };
}

/** @param {Xyxy} box */
export function area(box) {
  return (box[2] - box[0]) * (box[3] - box[1]);
}

/** @param {Xyxy} box @param {Point} point in the same frame */
export function contains(box, point) {
  return point.x >= box[0] && point.x <= box[2] && point.y >= box[1] && point.y <= box[3];
}

/** Whether two boxes share any point. @param {Xyxy} a @param {Xyxy} b */
export function touches(a, b) {
  return a[0] <= b[2] && b[0] <= a[2] && a[1] <= b[3] && b[1] <= a[3];
}

/**
 * The edge or corner under a point. The hit area is `reach` screen pixels wide at any
 * zoom, but never takes more than a quarter of a small box from inside, so that it can
 * still be moved.
 * @param {Xyxy} box in screen pixels @param {Point} point screen pixels @param {number} reach
 * @returns {Handle|null}
 */
export function handleAt(box, point, reach = 7) {
  const insideX = Math.min(reach, (box[2] - box[0]) / 4);
  const insideY = Math.min(reach, (box[3] - box[1]) / 4);
  /** @param {number} value @param {number} low @param {number} high */
  const inBand = (value, low, high) => value >= low && value <= high;
  if (!inBand(point.x, box[0] - reach, box[2] + reach)) return null;
  if (!inBand(point.y, box[1] - reach, box[3] + reach)) return null;
  const vertical = point.y <= box[1] + insideY ? "n" : point.y >= box[3] - insideY ? "s" : "";
  const horizontal = point.x <= box[0] + insideX ? "w" : point.x >= box[2] - insideX ? "e" : "";
  return /** @type {Handle} */ (vertical + horizontal) || null;
}

/**
 * Boxes that contain a point, the smallest first, so that a box inside a box is reachable.
 * @template {{xyxy: Xyxy}} B
 * @param {B[]} boxes @param {Point} point image pixels @param {number} slack image pixels
 * @returns {B[]}
 */
export function boxesAt(boxes, point, slack = 0) {
  /** @param {Xyxy} b @returns {Xyxy} */
  const grown = (b) => [b[0] - slack, b[1] - slack, b[2] + slack, b[3] + slack];
  return boxes
    .filter((box) => contains(grown(box.xyxy), point))
    .sort((a, b) => area(a.xyxy) - area(b.xyxy));
}
