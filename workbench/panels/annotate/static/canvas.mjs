/**
 * Entry of the widget. anywidget calls the exported function once for each model of a
 * page; all views of that model share one session.
 */
/** @import { CanvasModel, Receiver, Size, View } from "../../types.d.ts" */
import { pageSession } from "../../shared/static/page_session.mjs";
import { createSession } from "./session.mjs";
import { mountView } from "./view.mjs";

const TICK = 1000;

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
      session = createSession({
        send: (message) => model.send(message),
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
        if (model.get("threshold") !== session.state.threshold)
          session.setThreshold(model.get("threshold"));
      };
      model.on("msg:custom", receive);
      model.on("change:current_class", followClass);
      model.on("change:threshold", followThreshold);
      followClass();
      followThreshold();
      session.hello();
      const timer = setInterval(() => session.tick(), TICK);
      return () => {
        clearInterval(timer);
        unsubscribe();
        model.off("msg:custom", receive);
        model.off("change:current_class", followClass);
        model.off("change:threshold", followThreshold);
        session.close();
      };
    },

    /** @param {View<CanvasModel>} view */
    render({ model, el }) {
      return mountView(model, session, el);
    },
  };
}
