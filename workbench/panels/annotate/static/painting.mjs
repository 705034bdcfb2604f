/** What the layers of a stage show: the picture, the boxes at rest, and what the hand is at. */
/** @import { CanvasModel, Size } from "../../types.d.ts" */
/** @import { Session } from "./commands.mjs" */
/** @import { Point, Viewport } from "./geometry.mjs" */
/** @import { Preview } from "./input.mjs" */

import { fromRows, sameRow, toRows } from "./document.mjs";
import { drawBoxes, drawCrosshair, drawMarquee, drawPicture, IN_FILE, prepare } from "./draw.mjs";

/** Words for a picture that has fewer pixels than the image; its boxes do not. @param {import("./session.mjs").State} state */
export function describeReduction({ frame, full }) {
  const part = full && frame ? full.width / frame.width : 1;
  return part < 0.995 ? ` (picture reduced to ${Math.round(part * 100)}%, boxes exact)` : "";
}

/**
 * @typedef {{size: Size, viewport: Viewport, ratio: number}} Sight
 *   how large the stage is, where the image lies on it, and device pixels for each of its own
 *
 * @param {object} view
 * @param {{picture: HTMLCanvasElement, boxes: HTMLCanvasElement, active: HTMLCanvasElement}} view.layers
 * @param {HTMLElement} view.stageElement that they lie on
 * @param {CanvasModel} view.model
 * @param {Session} view.session
 */
export function createPainter({ layers, stageElement, model, session }) {
  const { state } = session;
  const look = () => ({
    names: model.get("classes"),
    colours: model.get("colours"),
    fillOpacity: model.get("opacity"),
    selection: state.selection,
    locked: state.locked,
    bare: new Set(state.drawn === null ? [] : [state.drawn]),
  });

  /** What to paint from: all pixels only where the reduced picture would show. @param {ImageBitmap} bitmap @param {Size} image @param {Sight} sight */
  function sourceFor(bitmap, image, { viewport, ratio }) {
    const wanted = viewport.scale * ratio * image.width;
    if (wanted <= bitmap.width * 1.01) return bitmap;
    if (!state.full) session.sharpen();
    return state.full ?? bitmap;
  }

  /** What the file holds and the page does not, where a save was refused. */
  function theirs() {
    const failure = state.frame && session.outbox.failure(state.frame.key);
    if (!failure) return [];
    const mine = toRows(session.boxes());
    const others = failure.boxes.filter((row) => !mine.some((own) => sameRow(own, row)));
    return fromRows(
      [],
      others.map((row) => ({ ...row, score: 1, source: IN_FILE })),
    );
  }

  return {
    /** @param {Sight} sight */
    picture(sight) {
      const { frame, bitmap } = state;
      const context = prepare(layers.picture, sight.size, sight.ratio);
      if (frame && bitmap)
        drawPicture(context, sight.viewport, sourceFor(bitmap, frame, sight), frame);
      // For tests, and for code that lays something over the stage.
      stageElement.dataset.shown = bitmap ? (frame?.name ?? "") : "";
      stageElement.dataset.viewport = JSON.stringify(sight.viewport);
    },

    /** @param {Sight} sight @param {Preview|null} preview what the hand has in hold */
    boxes({ size, viewport, ratio }, preview) {
      const context = prepare(layers.boxes, size, ratio);
      if (!state.frame) return;
      const atRest = session
        .boxes()
        .filter((box) => session.isShown(box) && !preview?.hide.has(box.id));
      drawBoxes(context, viewport, [...theirs(), ...atRest], look(), size);
    },

    /** @param {Sight} sight @param {Preview|null} preview @param {Point|null} cross where the crosshair is, if there is one @param {import("./document.mjs").Box|null} aimed the prediction under the pointer */
    active({ size, viewport, ratio }, preview, cross, aimed) {
      const context = prepare(layers.active, size, ratio);
      if (aimed) {
        const only = new Set([aimed.id]);
        drawBoxes(context, viewport, [aimed], { ...look(), selection: only, bare: only }, size);
      }
      if (cross) drawCrosshair(context, cross, size);
      if (preview?.boxes.length) {
        const selection = new Set(preview.boxes.map((box) => box.id));
        const bare = preview.bare ? selection : new Set();
        drawBoxes(context, viewport, preview.boxes, { ...look(), selection, bare }, size);
      }
      if (preview?.marquee) drawMarquee(context, preview.marquee);
    },
  };
}
