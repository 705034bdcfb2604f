/**
 * The hand: pointer gestures on the stage, for mouse, pen and fingers.
 *
 * Drawing is the default: a drag makes a box wherever it starts, on other boxes and inside the
 * selected one too, because on dense pictures there is no free ground. Only a handle of a box
 * that a person selected on purpose comes first; a box just drawn is selected for its class
 * keys, and has none. With Ctrl held, or while "select by dragging" is on, a drag moves what is
 * selected, or selects.
 *
 * One gesture at a time, each an object with `move`, `end` and `cancel`. A gesture shows
 * what it does as `preview` (boxes drawn instead of those at rest) and makes one edit at
 * its end.
 *
 * @typedef {import("./geometry.mjs").Point} Point
 * @typedef {import("./geometry.mjs").Viewport} Viewport
 * @typedef {import("./document.mjs").Box} Box
 * @typedef {import("./commands.mjs").Session} Session
 * @typedef {{hide: Set<number>, boxes: Box[], marquee: Xyxy|null, bare?: boolean}} Preview
 * @typedef {object} Gesture
 * @property {(point: Point) => void} move
 * @property {(point: Point) => void} end
 * @property {() => void} cancel
 * @property {boolean} [isPinch]
 *
 * @typedef {object} Stage  what a view offers to its gestures
 * @property {Viewport} viewport
 * @property {(viewport: Viewport) => void} setViewport
 * @property {(factor: number, at: Point) => void} zoom
 * @property {(preview: Preview|null) => void} preview
 * @property {() => boolean} hasClass whether there is a class for a box; else it is asked for
 * @property {(point: Point|null) => void} pointer
 * @property {(message: string) => void} say
 */
/** @import { Size, Xyxy } from "../../types.d.ts" */
import { activeWithin } from "../../shared/static/dom.mjs";
import { makeBox, withBox, withChanged } from "./document.mjs";
import {
  allowedShift,
  boxBetween,
  boxesAt,
  handleAt,
  resized,
  shifted,
  toImage,
  toScreen,
  touches,
} from "./geometry.mjs";

/** Screen pixels below which a press is a click, not a drag. */
const CLICK_SLACK = 3;
const REACH = { mouse: 7, pen: 10, touch: 18 };

/** How near to an edge a press holds it, in screen pixels. @param {string} pointerType */
function reachOf(pointerType) {
  return pointerType === "pen" || pointerType === "touch" ? REACH[pointerType] : REACH.mouse;
}

/**
 * @param {HTMLElement} element the stage
 * @param {Stage} stage
 * @param {Session} session
 * @returns {{cancel: () => boolean, isSpaceDown: (down: boolean) => void, close: () => void}}
 */
export function attachPointer(element, stage, session) {
  const abort = new AbortController();
  /**
   * @template {keyof HTMLElementEventMap} Type
   * @param {Type} type @param {(event: HTMLElementEventMap[Type]) => void} handler
   * @param {AddEventListenerOptions} options
   */
  const on = (type, handler, options = {}) =>
    element.addEventListener(type, handler, { signal: abort.signal, ...options });
  /** @type {Map<number, Point>} */
  const fingers = new Map();
  /** @type {Gesture|null} */
  let gesture = null;
  /** Of the pointer that the gesture is of, or of the first of two fingers. */
  let owner = 0;
  let space = false;

  /** @param {MouseEvent} event @returns {Point} */
  const at = (event) => {
    const edge = element.getBoundingClientRect();
    return {
      x: event.clientX - edge.left - element.clientLeft,
      y: event.clientY - edge.top - element.clientTop,
    };
  };
  const reachable = () =>
    session.boxes().filter((box) => session.isShown(box) && !session.state.locked.has(box.id));

  /** @param {PointerEvent} event */
  function press(event) {
    element.focus({ preventScroll: true });
    const point = at(event);
    // Touches only: a hand that rests on the screen does not break off what a pen draws, and a
    // mouse button that was let go over a menu is no finger.
    const isTouch = event.pointerType === "touch";
    if (isTouch) fingers.set(event.pointerId, point);
    if (isTouch && fingers.size === 2 && (!gesture || fingers.has(owner))) {
      gesture?.cancel();
      gesture = pinch(stage, fingers);
    } else if (!gesture) {
      gesture = begin(event, point);
      owner = event.pointerId;
    }
    if (gesture) {
      element.setPointerCapture(event.pointerId);
      event.preventDefault();
    }
  }

  /** @param {PointerEvent} event @param {Point} point @returns {Gesture|null} */
  function begin(event, point) {
    if (event.button === 1 || (event.button === 0 && space)) return pan(stage, point);
    if (event.button !== 0 || !session.state.frame?.editable) return null;
    const { frame } = session.state;
    const reach = reachOf(event.pointerType);
    const held = event.ctrlKey || event.metaKey;
    if (event.shiftKey) return marquee(stage, session, point, reachable, true);
    const grip = event.altKey ? null : gripAt(point, reach);
    if (grip) return resize(stage, session, frame, grip.box, grip.handle, point);
    if (!held && !session.state.selecting)
      return draw(stage, session, frame, point, reachable, reach);
    if (isOnSelected(point)) return move(stage, session, frame, selected(), point, reachable, held);
    return marquee(stage, session, point, reachable, held);
  }

  const selected = () => reachable().filter((box) => session.state.selection.has(box.id));
  /** @param {Point} point */
  const isOnSelected = (point) => boxesAt(selected(), toImage(stage.viewport, point)).length > 0;

  /** @param {Point} point @param {number} reach */
  function gripAt(point, reach) {
    for (const box of selected()) {
      if (box.id === session.state.drawn) continue;
      const handle = handleAt(toScreen(stage.viewport, box.xyxy), point, reach);
      if (handle) return { box, handle };
    }
    return null;
  }

  /** @param {Point} point @param {boolean} held whether Ctrl or Command is */
  function cursorAt(point, held) {
    if (space) return "grab";
    const grip = gripAt(point, REACH.mouse);
    if (grip) return `${grip.handle}-resize`;
    if (!held && !session.state.selecting) return "crosshair";
    return isOnSelected(point) ? "move" : "default";
  }

  /** @param {PointerEvent} event */
  const isOfGesture = (event) =>
    event.pointerId === owner || Boolean(gesture?.isPinch && fingers.has(event.pointerId));

  /** @param {Point} point */
  function finish(point) {
    const ended = gesture;
    gesture = null;
    ended?.end(point);
  }

  on("pointerdown", press);
  on("pointermove", (event) => {
    const point = at(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, point);
    stage.pointer(point);
    if (gesture && !isOfGesture(event)) return;
    // The button was let go where the page did not hear of it, under a dialog for instance.
    if (gesture && event.pointerType === "mouse" && event.buttons === 0) finish(point);
    else if (gesture) gesture.move(point);
    else element.style.cursor = cursorAt(point, event.ctrlKey || event.metaKey);
  });
  on("pointerup", (event) => {
    const isMeant = isOfGesture(event);
    fingers.delete(event.pointerId);
    if (isMeant && !(gesture?.isPinch && fingers.size > 0)) finish(at(event));
  });
  on("pointercancel", (event) => {
    const isMeant = isOfGesture(event);
    fingers.delete(event.pointerId);
    if (!isMeant) return;
    gesture?.cancel();
    gesture = null;
  });
  on("pointerleave", () => stage.pointer(null));
  on("auxclick", (event) => event.preventDefault());
  on(
    "wheel",
    (event) => {
      // Without the focus the wheel scrolls the notebook; with Ctrl (and for a pinch on a
      // touchpad, which browsers report as such) it always zooms.
      if (!event.ctrlKey && !element.contains(activeWithin(element))) return;
      event.preventDefault();
      const pixels =
        event.deltaMode === 1
          ? event.deltaY * 16
          : event.deltaMode === 2
            ? event.deltaY * 400
            : event.deltaY;
      const speed = event.ctrlKey && Math.abs(pixels) < 40 ? 0.01 : 0.0018;
      stage.zoom(Math.exp(-pixels * speed), at(event));
    },
    { passive: false },
  );

  return {
    /** Break off the gesture under way. @returns {boolean} whether there was one */
    cancel() {
      const had = gesture !== null;
      gesture?.cancel();
      gesture = null;
      return had;
    },
    isSpaceDown(down) {
      space = down;
      if (!gesture) element.style.cursor = down ? "grab" : "crosshair";
    },
    close() {
      abort.abort();
    },
  };
}

/**
 * Drag: a new box. Click: select what is under the pointer, the smallest first, then the next.
 * @param {Stage} stage @param {Session} session @param {Size} frame @param {Point} start @param {() => Box[]} reachable @param {number} reach @returns {Gesture}
 */
function draw(stage, session, frame, start, reachable, reach) {
  let dragging = false;
  let refused = false;
  const { currentClass } = session.state;
  const from = toImage(stage.viewport, start);
  /** @param {Point} point */
  const boxTo = (point) => boxBetween(from, toImage(stage.viewport, point), frame);
  return {
    move(point) {
      if (refused) return;
      dragging ||= Math.hypot(point.x - start.x, point.y - start.y) >= CLICK_SLACK;
      refused = dragging && !stage.hasClass();
      if (dragging && !refused)
        stage.preview({
          hide: new Set(),
          boxes: [makeBox(currentClass, boxTo(point))],
          marquee: null,
          bare: true,
        });
    },
    end(point) {
      stage.preview(null);
      const isBigEnough =
        Math.abs(point.x - start.x) >= CLICK_SLACK && Math.abs(point.y - start.y) >= CLICK_SLACK;
      if (!dragging) selectAt(stage, session, from, reachable, reach / 3);
      else if (
        !refused &&
        isBigEnough &&
        touches(boxOf(from, toImage(stage.viewport, point)), [0, 0, frame.width, frame.height])
      ) {
        const box = makeBox(currentClass, boxTo(point));
        session.edit("draw", withBox(session.boxes(), box));
        session.select([box.id], { drawn: true });
      }
    },
    cancel: () => stage.preview(null),
  };
}

/** @param {Point} a @param {Point} b @returns {Xyxy} */
function boxOf(a, b) {
  return [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)];
}

/**
 * @param {Stage} stage
 * @param {Session} session
 * @param {Point} point
 * @param {() => Box[]} reachable
 * @param {number} slack
 */
function selectAt(stage, session, point, reachable, slack) {
  const found = boxesAt(reachable(), point, slack / stage.viewport.scale);
  const present = found.findIndex((box) => session.state.selection.has(box.id));
  const next = found[(present + 1) % Math.max(found.length, 1)];
  session.select(next ? [next.id] : []);
}

/**
 * Drag: move the boxes. Click: as anywhere else; with `adding` add or remove the box there.
 * @param {Stage} stage
 * @param {Session} session
 * @param {Size} frame
 * @param {Box[]} boxes
 * @param {Point} start
 * @param {() => Box[]} reachable
 * @param {boolean} adding
 * @returns {Gesture}
 */
function move(stage, session, frame, boxes, start, reachable, adding) {
  const ids = new Set(boxes.map((box) => box.id));
  let dragging = false;
  // In the image: the view may be zoomed while the boxes are held, with the wheel for instance.
  const from = toImage(stage.viewport, start);
  /** @param {Point} point */
  const shiftTo = (point) => {
    const to = toImage(stage.viewport, point);
    const corners = boxes.map((box) => box.xyxy);
    return allowedShift(corners, to.x - from.x, to.y - from.y, frame);
  };
  return {
    move(point) {
      dragging ||= Math.hypot(point.x - start.x, point.y - start.y) >= CLICK_SLACK;
      if (!dragging) return;
      const shift = shiftTo(point);
      stage.preview({
        hide: ids,
        boxes: boxes.map((box) => ({ ...box, xyxy: shifted(box.xyxy, shift) })),
        marquee: null,
      });
    },
    end(point) {
      stage.preview(null);
      if (!dragging) {
        if (adding) toggleAt(stage, session, start, reachable);
        else selectAt(stage, session, toImage(stage.viewport, start), reachable, 0);
        return;
      }
      const shift = shiftTo(point);
      if (shift.x === 0 && shift.y === 0) return;
      session.edit(
        "move",
        withChanged(session.boxes(), ids, (box) => ({ xyxy: shifted(box.xyxy, shift) })),
      );
      session.select(ids); // chosen on purpose now, if it had only been drawn before
    },
    cancel: () => stage.preview(null),
  };
}

/**
 * @param {Stage} stage
 * @param {Session} session
 * @param {Size} frame
 * @param {Box} box
 * @param {import("./geometry.mjs").Handle} handle
 * @param {Point} start
 * @returns {Gesture}
 */
function resize(stage, session, frame, box, handle, start) {
  // The edge keeps its distance to the pointer, so that grabbing it does not make it jump.
  const from = toImage(stage.viewport, start);
  const [left, top, right, bottom] = box.xyxy;
  const apart = {
    x: handle.includes("w") ? left - from.x : handle.includes("e") ? right - from.x : 0,
    y: handle.includes("n") ? top - from.y : handle.includes("s") ? bottom - from.y : 0,
  };
  /** @param {Point} point */
  const target = (point) => {
    const to = toImage(stage.viewport, point);
    return { x: to.x + apart.x, y: to.y + apart.y };
  };
  /** @param {Point} point */
  const boxTo = (point) => resized(box.xyxy, handle, target(point), frame);
  /** @param {Point} point */
  const isStill = (point) => point.x === start.x && point.y === start.y;
  return {
    move(point) {
      if (isStill(point)) return;
      stage.preview({
        hide: new Set([box.id]),
        boxes: [{ ...box, xyxy: boxTo(point) }],
        marquee: null,
      });
    },
    end(point) {
      stage.preview(null);
      if (isStill(point)) return;
      const xyxy = boxTo(point);
      if (xyxy.every((value, i) => value === box.xyxy[i])) return;
      session.edit(
        "resize",
        withChanged(session.boxes(), new Set([box.id]), () => ({ xyxy })),
      );
    },
    cancel: () => stage.preview(null),
  };
}

/** @param {Stage} stage @param {Session} session @param {Point} point @param {() => Box[]} reachable */
function toggleAt(stage, session, point, reachable) {
  const selection = new Set(session.state.selection);
  const [box] = boxesAt(reachable(), toImage(stage.viewport, point));
  if (box && !selection.delete(box.id)) selection.add(box.id);
  session.select(selection);
}

/**
 * Drag: select all boxes that the rectangle touches. Click: select what is there.
 * With `adding`, what was selected before stays, and a click adds or removes one.
 * @param {Stage} stage
 * @param {Session} session
 * @param {Point} start
 * @param {() => Box[]} reachable
 * @param {boolean} adding
 * @returns {Gesture}
 */
function marquee(stage, session, start, reachable, adding) {
  let dragging = false;
  const from = toImage(stage.viewport, start); // stays upon what it was, where the view moves
  /** @param {Point} point */
  const corners = (point) => {
    const [x, y] = toScreen(stage.viewport, [from.x, from.y, from.x, from.y]);
    return boxOf({ x, y }, point);
  };
  return {
    move(point) {
      dragging ||= Math.hypot(point.x - start.x, point.y - start.y) >= CLICK_SLACK;
      if (dragging) stage.preview({ hide: new Set(), boxes: [], marquee: corners(point) });
    },
    end(point) {
      stage.preview(null);
      if (!dragging) {
        if (adding) toggleAt(stage, session, start, reachable);
        else selectAt(stage, session, toImage(stage.viewport, start), reachable, 0);
        return;
      }
      const hit = reachable().filter((box) =>
        touches(toScreen(stage.viewport, box.xyxy), corners(point)),
      );
      session.select([...(adding ? session.state.selection : []), ...hit.map((box) => box.id)]);
    },
    cancel: () => stage.preview(null),
  };
}

/** @param {Stage} stage @param {Point} start @returns {Gesture} */
function pan(stage, start) {
  const origin = stage.viewport;
  const held = toImage(origin, start);
  return {
    move(point) {
      const { scale } = stage.viewport; // which the wheel may have changed meanwhile
      stage.setViewport({ scale, x: point.x - held.x * scale, y: point.y - held.y * scale });
    },
    end() {},
    cancel: () => stage.setViewport(origin),
  };
}

/** Two fingers: pan and zoom at once. @param {Stage} stage @param {Map<number, Point>} fingers @returns {Gesture} */
function pinch(stage, fingers) {
  const measure = () => {
    const [a, b] = [...fingers.values()];
    return {
      x: (a.x + b.x) / 2,
      y: (a.y + b.y) / 2,
      spread: Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1),
    };
  };
  let last = measure();
  return {
    isPinch: true,
    move() {
      if (fingers.size < 2) return;
      const present = measure();
      const { scale, x, y } = stage.viewport;
      stage.setViewport({ scale, x: x + present.x - last.x, y: y + present.y - last.y });
      stage.zoom(present.spread / last.spread, present);
      last = present;
    },
    end() {},
    cancel() {},
  };
}
