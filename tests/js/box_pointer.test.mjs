/** What a hand does at the picture, where the view moves or several pointers are down. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeBox } from "../../workbench/panels/annotate/static/document.mjs";
import { zoomAt } from "../../workbench/panels/annotate/static/geometry.mjs";
import { attachPointer } from "../../workbench/panels/annotate/static/input.mjs";
import { fake } from "./fakes.mjs";

/** A stage upon a session of two boxes, the first of which is selected. */
function start() {
  const element = Object.assign(new EventTarget(), {
    style: {},
    clientLeft: 0,
    clientTop: 0,
    focus() {},
    setPointerCapture() {},
    getBoundingClientRect: () => ({ left: 0, top: 0 }),
  });
  let boxes = [makeBox(0, [100, 100, 200, 200]), makeBox(0, [300, 300, 350, 350])];
  const state = {
    frame: { width: 640, height: 480, editable: true },
    selection: new Set([boxes[0].id]),
    drawn: null,
    selecting: false,
    locked: new Set(),
    currentClass: 1,
  };
  /** @type {string[]} */
  const done = [];
  const session = {
    state,
    boxes: () => boxes,
    isShown: () => true,
    select: (/** @type {Iterable<number>} */ ids) => {
      state.selection = new Set(ids);
    },
    edit: (/** @type {string} */ what, /** @type {typeof boxes} */ after) => {
      done.push(what);
      boxes = after;
    },
  };
  const stage = {
    viewport: { scale: 1, x: 0, y: 0 },
    setViewport: (/** @type {typeof stage.viewport} */ next) => {
      stage.viewport = next;
    },
    zoom: (/** @type {number} */ factor, /** @type {{x: number, y: number}} */ at) => {
      stage.viewport = zoomAt(stage.viewport, factor, at, 0.1);
    },
    preview() {},
    pointer() {},
    hasClass: () => true,
  };
  const hand = attachPointer(fake(element), fake(stage), fake(session));
  /** @param {string} type @param {number} x @param {number} y @param {Record<string, unknown>} how */
  const send = (type, x, y, how = {}) =>
    element.dispatchEvent(
      Object.assign(new Event(type), {
        clientX: x,
        clientY: y,
        pointerId: 1,
        pointerType: "mouse",
        button: 0,
        buttons: 1,
        ...how,
      }),
    );
  const corners = () => boxes.map((box) => box.xyxy.map(Math.round));
  return { hand, send, stage, state, done, corners };
}

test("boxes that are held stay under the pointer while the wheel zooms", () => {
  const { send, stage, corners } = start();
  send("pointerdown", 150, 150, { ctrlKey: true });
  send("pointermove", 160, 160);
  stage.zoom(2, { x: 160, y: 160 });
  send("pointerup", 160, 160, { buttons: 0 });
  assert.deepEqual(corners()[0], [110, 110, 210, 210]);
});

test("an edge that is held stays under the pointer while the wheel zooms", () => {
  const { send, stage, corners } = start();
  send("pointerdown", 202, 150);
  send("pointermove", 222, 150);
  stage.zoom(2, { x: 222, y: 150 });
  send("pointerup", 222, 150, { buttons: 0 });
  assert.deepEqual(corners()[0], [100, 100, 220, 200]);
});

test("a view that is dragged keeps the zoom of the wheel", () => {
  const { hand, send, stage } = start();
  hand.isSpaceDown(true);
  send("pointerdown", 10, 10);
  send("pointermove", 20, 20);
  stage.zoom(2, { x: 20, y: 20 });
  send("pointermove", 30, 20);
  assert.equal(stage.viewport.scale, 2);
});

test("a button that was let go unheard ends the drag where the pointer comes back", () => {
  const { send, done, corners } = start();
  send("pointerdown", 10, 10);
  send("pointermove", 40, 40);
  send("pointermove", 60, 70, { buttons: 0 });
  send("pointermove", 400, 400, { buttons: 0 });
  assert.deepEqual(done, ["draw"]);
  assert.deepEqual(corners().at(-1), [10, 10, 60, 70]);
});

test("a hand that rests on the screen does not break off what the pen draws", () => {
  const { send, done, corners } = start();
  const [pen, palm] = [
    { pointerId: 5, pointerType: "pen" },
    { pointerId: 6, pointerType: "touch" },
  ];
  send("pointerdown", 10, 10, pen);
  send("pointerdown", 500, 400, palm);
  send("pointermove", 501, 401, palm);
  send("pointermove", 60, 70, pen);
  send("pointerup", 501, 401, palm);
  assert.deepEqual(done, [], "the pen is down still");
  send("pointerup", 60, 70, pen);
  assert.deepEqual(corners().at(-1), [10, 10, 60, 70]);
});

test("one finger draws after a mouse button was let go over a menu", () => {
  const { send, done } = start();
  send("pointerdown", 30, 30, { button: 2 }); // and no pointerup: the menu has it
  const finger = { pointerId: 9, pointerType: "touch" };
  send("pointerdown", 10, 10, finger);
  send("pointermove", 60, 70, finger);
  send("pointerup", 60, 70, finger);
  assert.deepEqual(done, ["draw"]);
});

test("two fingers move and zoom, and a third breaks nothing", () => {
  const { send, done, stage } = start();
  const finger = (/** @type {number} */ pointerId) => ({ pointerId, pointerType: "touch" });
  send("pointerdown", 100, 100, finger(1));
  send("pointermove", 110, 100, finger(1));
  send("pointerdown", 200, 100, finger(2));
  send("pointermove", 300, 100, finger(2));
  send("pointerdown", 400, 300, finger(3));
  for (const id of [3, 2, 1]) send("pointerup", 200, 100, finger(id));
  assert.ok(stage.viewport.scale > 1.5);
  assert.deepEqual(done, []);
  send("pointerdown", 10, 10, finger(4));
  send("pointermove", 60, 70, finger(4));
  send("pointerup", 60, 70, finger(4));
  assert.deepEqual(done, ["draw"]);
});
