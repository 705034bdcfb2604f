/**
 * Whether the kernel is still the one that this widget belongs to. JupyterLab tells; where
 * nobody does, the silence after frames that were sent tells.
 */
/** @import { Bytes, Model } from "../../types.d.ts" */

const GONE = new Set(["restarting", "autorestarting", "dead", "terminating"]);
export const KERNEL_GONE = "The kernel was restarted or has ended: run the cell again to go on.";

/**
 * @param {Pick<Model<unknown>, "widget_manager">} model anywidget's
 * @param {() => void} gone called once
 * @returns {() => void} clean-up
 */
export function onKernelGone(model, gone) {
  const kernel = model.widget_manager?.kernel;
  const signal = kernel?.statusChanged;
  if (!kernel || !signal?.connect) return () => {};
  const { disposed } = kernel;
  const forget = () => {
    signal.disconnect(listen);
    disposed?.disconnect(end);
  };
  const end = () => {
    forget();
    gone();
  };
  /** @param {unknown} _kernel @param {string} status */
  const listen = (_kernel, status) => {
    if (GONE.has(status)) end();
  };
  signal.connect(listen);
  disposed?.connect?.(end); // of one that was deleted elsewhere, no status may be told
  return forget;
}

/**
 * Send to the kernel as long as there is one. JupyterLab throws where there is none any more, which
 * would break off whatever the hand has just begun, such as going to an image that is here already.
 * @template Message
 * @param {{send(message: Message, callbacks?: undefined, buffers?: Bytes[]): void} & Pick<Model<unknown>, "widget_manager">} model anywidget's
 * @param {() => void} gone called once, when the kernel is gone
 */
export function createSender(model, gone = () => {}) {
  let isGone = false;
  const end = () => {
    if (isGone) return;
    isGone = true;
    gone();
  };
  const forget = onKernelGone(model, end);
  return {
    /** @param {Message} message @param {Bytes[]} [buffers] */
    send(message, buffers) {
      if (isGone) return;
      try {
        model.send(message, undefined, buffers);
      } catch (error) {
        console.warn("workbench: the kernel cannot be reached", error);
        end();
      }
    },
    isGone: () => isGone,
    close: forget,
  };
}

/** So long a busy kernel may leave a hand without an answer, before the page says why. */
const PATIENCE_MS = 700;

/**
 * Tell that the kernel is too busy for what a hand has just done in a panel, a cell runs for
 * instance, and when it is not any more. Nothing is told of what nobody waits for.
 * @param {Pick<Model<unknown>, "widget_manager">} model anywidget's
 * @param {EventTarget} root the panel
 * @param {(isBusy: boolean) => void} tell
 * @returns {() => void} clean-up
 */
export function onKernelBusy(model, root, tell) {
  const kernel = model.widget_manager?.kernel;
  const signal = kernel?.statusChanged;
  if (!signal?.connect) return () => {};
  const abort = new AbortController();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let timer;
  let isTold = false;
  const act = () => {
    if (kernel?.status !== "busy" || timer !== undefined) return;
    timer = setTimeout(() => {
      isTold = true;
      tell(true);
    }, PATIENCE_MS);
  };
  /** @param {unknown} _kernel @param {string} status */
  const listen = (_kernel, status) => {
    if (status === "busy") return;
    clearTimeout(timer);
    timer = undefined;
    if (isTold) tell(false);
    isTold = false;
  };
  for (const type of ["click", "change"])
    root.addEventListener(type, act, { signal: abort.signal });
  signal.connect(listen);
  return () => {
    abort.abort();
    clearTimeout(timer);
    signal.disconnect(listen);
  };
}
