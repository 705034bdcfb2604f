/**
 * Entry of the widget. anywidget calls the exported function once for each model of a
 * page; all views of that model share one session.
 */
/** @import { CanvasModel, Receiver, Size, View } from "../../types.d.ts" */
import { createSender } from "../../shared/static/kernel.mjs";
import { pageSession } from "../../shared/static/page_session.mjs";
import { createSession } from "./session.mjs";
import { mountView } from "./view.mjs";

const TICK = 1000;
/** @type {("change:threshold" | "change:class_thresholds" | "change:classes")[]} */
const FOLLOWED = ["change:threshold", "change:class_thresholds", "change:classes"];

/** localStorage, or null where the page may not use it. */
function openStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/** Decode an image off the main thread, to `size` if there is one. @param {Blob} blob @param {Size|null} size */
function decode(blob, size) {
  if (!size) return createImageBitmap(blob);
  return createImageBitmap(blob, {
    resizeWidth: size.width,
    resizeHeight: size.height,
    resizeQuality: "high",
  });
}

export default function boxCanvas() {
  /** @type {ReturnType<typeof createSession>} */
  let session;

  return {
    /** @param {{model: CanvasModel}} page */
    initialize({ model }) {
      const kernel = createSender(model, () => session.kernelGone());
      session = createSession({
        send: (message) => kernel.send(message),
        storage: openStorage(),
        decode,
        now: () => performance.now(),
        names: () => model.get("classes"),
        id: pageSession(),
      });
      /** @type {Receiver<CanvasModel>} */
      const receive = (message, buffers) => session.receive(message, buffers);
      const followClass = () => {
        const index = model.get("classes").indexOf(model.get("current_class") ?? "");
        if (index >= 0 && index !== session.state.currentClass)
          session.update((s) => (s.currentClass = index));
      };
      const unsubscribe = session.subscribe((what) => {
        if (what !== "selection") return;
        const name = model.get("classes")[session.state.currentClass];
        if (name === undefined || name === model.get("current_class")) return;
        model.set("current_class", name);
        model.save_changes();
      });
      const followThreshold = () => {
        const names = Object.entries(model.get("class_thresholds"));
        const known = model.get("classes");
        const rows = names.map(([name, score]) => [known.indexOf(name), score]);
        const ofClass = Object.fromEntries(rows.filter(([cls]) => (cls ?? -1) >= 0));
        const { threshold, classThresholds } = session.state;
        const isNew =
          model.get("threshold") !== threshold ||
          JSON.stringify(ofClass) !== JSON.stringify(classThresholds);
        if (isNew) session.setThreshold(model.get("threshold"), ofClass);
      };
      let classes = model.get("classes");
      const followClasses = () => {
        const before = classes;
        classes = model.get("classes");
        session.classesChanged(before, classes);
      };
      model.on("msg:custom", receive);
      model.on("change:classes", followClasses);
      model.on("change:current_class", followClass);
      for (const name of FOLLOWED) model.on(name, followThreshold);
      followClass();
      followThreshold();
      session.hello();
      const timer = setInterval(() => session.tick(), TICK);
      return () => {
        clearInterval(timer);
        kernel.close();
        unsubscribe();
        model.off("msg:custom", receive);
        model.off("change:classes", followClasses);
        model.off("change:current_class", followClass);
        for (const name of FOLLOWED) model.off(name, followThreshold);
        session.close();
      };
    },

    /** @param {View<CanvasModel>} view */
    render({ model, el }) {
      return mountView(model, session, el);
    },
  };
}
