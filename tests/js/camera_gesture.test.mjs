import assert from "node:assert/strict";
import { test } from "node:test";

import { createGesture } from "../../workbench/panels/capture/static/gesture.mjs";

function scene({ mode = "hand", recording = false } = {}) {
  const log = [];
  const state = { recording };
  /** @type {(() => void) | null} */
  let pending = null;
  const gesture = createGesture({
    mode: () => mode,
    recording: () => state.recording,
    grab: () => log.push("grab"),
    shoot: () => log.push("shoot"),
    begin: (held) => log.push(held ? "hold" : "begin"),
    end: () => log.push("end"),
    pressed: () => {},
    later(work) {
      pending = work;
      return 1;
    },
    never: () => (pending = null),
  });
  return { log, state, gesture, wait: () => pending?.() };
}

test("a tap is the picture of the moment of pressing", () => {
  const { log, gesture } = scene();
  gesture.down("pointer");
  gesture.up("pointer");
  assert.deepEqual(log, ["grab", "shoot"]);
});

test("holding is a burst that lasts until the release", () => {
  const { log, gesture, wait } = scene();
  gesture.down("key");
  wait();
  gesture.up("key");
  assert.deepEqual(log, ["grab", "hold", "end"]);
});

test("a press that is called off takes no picture", () => {
  const { log, gesture } = scene();
  gesture.down("pointer");
  gesture.cancel();
  assert.deepEqual(log, ["grab"]);
});

test("a burst ends when the window loses the focus", () => {
  const { log, gesture, wait } = scene();
  gesture.down("key");
  wait();
  gesture.cancel();
  gesture.up("key");
  assert.deepEqual(log, ["grab", "hold", "end"]);
});

test("mouse and key do not interfere", () => {
  const { log, gesture, wait } = scene();
  gesture.down("pointer");
  gesture.down("key");
  wait();
  gesture.up("key");
  assert.deepEqual(log, ["grab", "hold"]);
  gesture.up("pointer");
  assert.deepEqual(log, ["grab", "hold", "end"]);
});

test("in the other modes a press starts and the next one stops", () => {
  const { log, state, gesture, wait } = scene({ mode: "interval" });
  gesture.down("pointer");
  wait();
  gesture.up("pointer");
  state.recording = true;
  gesture.down("pointer");
  gesture.up("pointer");
  assert.deepEqual(log, ["begin", "end"]);
});

test("a click without a pointer takes one picture", () => {
  const { log, gesture } = scene();
  gesture.click();
  assert.deepEqual(log, ["grab", "shoot"]);
});
