/** A kernel that is too busy to answer says so where somebody waits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createSender, onKernelBusy } from "../../workbench/panels/shared/static/kernel.mjs";
import { fake } from "./fakes.mjs";

/** A kernel whose state can be set, a panel, and what was told. @param {any} t */
function start(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {Set<any>} */
  const slots = new Set();
  const kernel = {
    status: "idle",
    statusChanged: {
      connect: (/** @type {any} */ slot) => slots.add(slot),
      disconnect: (/** @type {any} */ slot) => slots.delete(slot),
    },
  };
  const panel = new EventTarget();
  /** @type {boolean[]} */
  const told = [];
  const close = onKernelBusy(fake({ widget_manager: { kernel } }), panel, (is) => told.push(is));
  return {
    told,
    slots,
    close,
    click: () => panel.dispatchEvent(new Event("click")),
    wait: () => t.mock.timers.tick(5000),
    /** @param {string} status */
    become(status) {
      kernel.status = status;
      for (const slot of slots) slot(kernel, status);
    },
  };
}

test("a click that a busy kernel leaves waiting is told of, once, until the kernel is free", (t) => {
  const { told, click, wait, become } = start(t);
  become("busy");
  wait();
  assert.deepEqual(told, [], "nobody waits");
  click();
  assert.deepEqual(told, [], "it may be done in a moment");
  click();
  wait();
  assert.deepEqual(told, [true]);
  become("idle");
  assert.deepEqual(told, [true, false]);
});

test("a click that is answered in time, or of an idle kernel, is not told of", (t) => {
  const { told, click, wait, become } = start(t);
  click();
  wait();
  become("busy");
  click();
  become("idle");
  wait();
  assert.deepEqual(told, []);
});

test("a panel that is gone is told of nothing", (t) => {
  const { told, slots, click, wait, become, close } = start(t);
  become("busy");
  click();
  close();
  wait();
  assert.deepEqual([told, slots.size], [[], 0]);
});

/** A signal as JupyterLab's are. */
function signal() {
  /** @type {Set<any>} */
  const slots = new Set();
  return {
    connect: (/** @type {any} */ slot) => slots.add(slot),
    disconnect: (/** @type {any} */ slot) => slots.delete(slot),
    emit: (/** @type {any} */ value) => [...slots].map((slot) => slot(null, value)),
  };
}

test("what is sent to a kernel that was deleted breaks nothing off, and is told once", (t) => {
  t.mock.method(console, "warn", () => {});
  let gone = 0;
  const throwing = () => {
    throw new Error("Cannot send");
  };
  const sender = createSender(fake({ send: throwing }), () => gone++);
  sender.send({ kind: "go" });
  sender.send({ kind: "go" });
  assert.equal(gone, 1);
  assert.ok(sender.isGone());
});

test("of a kernel that is disposed without a word it is known, too", () => {
  let gone = 0;
  /** @type {unknown[]} */
  const sent = [];
  const kernel = { statusChanged: signal(), disposed: signal() };
  const model = { widget_manager: { kernel }, send: (/** @type {any} */ one) => sent.push(one) };
  const sender = createSender(fake(model), () => gone++);
  sender.send("first");
  kernel.disposed.emit(undefined);
  kernel.statusChanged.emit("dead");
  sender.send("second");
  assert.deepEqual([gone, sent], [1, ["first"]]);
});
