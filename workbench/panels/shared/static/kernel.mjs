/**
 * Whether the kernel is still the one that this widget belongs to. JupyterLab tells; where
 * nobody does, the silence after frames that were sent tells.
 */
/** @import { Model } from "../../types.d.ts" */

const GONE = new Set(["restarting", "autorestarting", "dead", "terminating"]);

/**
 * @param {Pick<Model<unknown>, "widget_manager">} model anywidget's
 * @param {() => void} gone called once
 * @returns {() => void} clean-up
 */
export function onKernelGone(model, gone) {
  const kernel = model.widget_manager?.kernel;
  const signal = kernel?.statusChanged;
  if (!signal?.connect) return () => {};
  /** @param {unknown} _kernel @param {string} status */
  const listen = (_kernel, status) => {
    if (!GONE.has(status)) return;
    signal.disconnect(listen);
    gone();
  };
  signal.connect(listen);
  return () => signal.disconnect(listen);
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
