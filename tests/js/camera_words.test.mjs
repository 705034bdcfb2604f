import assert from "node:assert/strict";
import { test } from "node:test";

import {
  splitKey,
  splitValue,
  typedNumber,
} from "../../workbench/panels/capture/static/controls.mjs";
import { noneLeft, statusNotes } from "../../workbench/panels/capture/static/numbers.mjs";
import { cameraWish } from "../../workbench/panels/live/static/device.mjs";
import { isUpright } from "../../workbench/panels/live/static/frames.mjs";
import {
  cameraProblem,
  cameraSurroundings,
  surroundingsProblem,
} from "../../workbench/panels/live/static/problems.mjs";
import { placedBox } from "../../workbench/panels/live/static/stage.mjs";

const page = (more) => ({
  hasDevices: true,
  isSecure: true,
  isVsCode: false,
  host: "hub:8888",
  ...more,
});

test("a page without encryption is told the way to https and a tunnel", () => {
  const problem = surroundingsProblem(page({ hasDevices: false, isSecure: false }));
  assert.equal(problem?.code, "insecure");
  assert.match(problem?.text ?? "", /https/);
  assert.match(problem?.text ?? "", /ssh -L 8888:localhost:8888/);
});

test("VS Code is told where a camera is to be had", () => {
  const where = cameraSurroundings({
    location: { protocol: "vscode-webview:", host: "x" },
    navigator: { userAgent: "Electron", mediaDevices: { getUserMedia() {} } },
  });
  assert.equal(surroundingsProblem(where)?.code, "vscode");
});

test("where a camera may be there is no problem", () => {
  assert.equal(surroundingsProblem(page()), null);
});

test("errors of the browser become words", () => {
  assert.equal(cameraProblem({ name: "NotAllowedError" }).code, "denied");
  assert.equal(cameraProblem({ name: "SecurityError" }).code, "denied");
  assert.equal(cameraProblem({ name: "NotFoundError" }).code, "none");
  assert.equal(cameraProblem({ name: "NotReadableError" }).code, "busy");
  assert.equal(cameraProblem({ name: "OverconstrainedError" }).code, "gone");
  assert.match(cameraProblem({ name: "Odd", message: "of a new kind" }).text, /of a new kind/);
});

test("a device is asked for by its id, else front or back", () => {
  assert.deepEqual(cameraWish({ device: "d", facing: "user", size: "640x480" }).video.deviceId, {
    exact: "d",
  });
  assert.deepEqual(cameraWish({ device: "", facing: "environment", size: "" }).video.facingMode, {
    ideal: "environment",
  });
  assert.deepEqual(cameraWish({ device: "", facing: "", size: "640x480" }).video.width, {
    ideal: 640,
  });
});

test("a ratio between splits goes to the list and back", () => {
  const ratio = { train: 0.8, val: 0.2 };
  assert.deepEqual(splitValue(splitKey(ratio)), ratio);
  assert.equal(splitValue(splitKey("val")), "val");
});

test("what is typed is a number or nothing", () => {
  assert.equal(typedNumber("1,5"), 1.5);
  assert.equal(typedNumber(""), null);
  assert.equal(typedNumber("abc"), null);
  assert.equal(typedNumber("-1"), null);
  assert.equal(typedNumber("0.05", 0.1), null);
});

test("a mirrored box lies where the mirrored thing is", () => {
  const size = { width: 200, height: 100 };
  assert.deepEqual(placedBox([0.25, 0.5, 0.1, 0.2], size, false), {
    x: 40,
    y: 40,
    width: 20,
    height: 20,
  });
  assert.deepEqual(placedBox([0.25, 0.5, 0.1, 0.2], size, true), {
    x: 140,
    y: 40,
    width: 20,
    height: 20,
  });
});

/** @param {Parameters<typeof statusNotes>} what */
const texts = (...what) => statusNotes(...what).map((note) => note.text);

test("a failure comes first, what was left out is counted", () => {
  const notes = texts({
    failure: "The disk is full.",
    slow: true,
    similar: 3,
    blurred: 1,
    dropped: 2,
    damaged: 1,
  });
  assert.equal(notes[0], "The disk is full.");
  assert.ok(notes.includes("3 skipped as alike"));
  assert.ok(notes.includes("1 frame damaged"));
  assert.deepEqual(statusNotes({}), []);
});

test("what was the limit is said: the disk, the way, the kernel or this page", () => {
  assert.deepEqual(texts({ slow: true }), [
    "The disk is slower than the camera: frames wait to be saved.",
  ]);
  assert.match(
    texts({ dropped: 2 }, { page: 0, way: 0, disk: 4 })[0],
    /^6 frames left out: the disk is too slow/,
  );
  assert.match(texts({}, { page: 0, way: 1, disk: 0 })[0], /^1 frame left out: the kernel is busy/);
  assert.match(
    texts({}, { page: 1200, way: 0, disk: 0 })[0],
    /^1,200 frames left out: this browser .* lower resolution/,
  );
  assert.equal(texts({}, noneLeft()).length, 0);
});

test("a model that looks at each picture is not called a slow disk", () => {
  for (const how of /** @type {const} */ (["labels", "predictions"])) {
    const [slow, lost] = texts({ slow: true, dropped: 1 }, noneLeft(), how);
    assert.match(slow, /^The model is slower/);
    assert.match(lost, /^1 frame left out: the model/);
  }
});

test("a phone's frame that lies on its side is not taken as it is", () => {
  const video = { videoWidth: 720, videoHeight: 1280 };
  const frame = (displayWidth, displayHeight, more = {}) => ({
    displayWidth,
    displayHeight,
    ...more,
  });
  assert.equal(isUpright(frame(720, 1280), video), true);
  assert.equal(isUpright(frame(1280, 720), video), false);
  assert.equal(isUpright(frame(720, 1280, { rotation: 90 }), video), false);
  assert.equal(isUpright(frame(1280, 720), { videoWidth: 0, videoHeight: 0 }), true); // not shown yet
});
