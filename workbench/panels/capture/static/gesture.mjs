/**
 * The record button: a tap is one picture, holding it is a burst. Where the mode is not "by
 * hand", a press starts and the next one stops. Pure: timers are handed in.
 */

export const HOLD_MS = 280;

/**
 * @param {{mode: () => string, recording: () => boolean, grab: () => void, shoot: () => void,
 *   begin: (held: boolean) => void, end: () => void, pressed: (on: boolean) => void,
 *   later?: (work: () => void, ms: number) => number, never?: (timer: number) => void}} on `grab` keeps the picture of the moment of pressing
 */
export function createGesture(on) {
  const { later = setTimeout.bind(globalThis), never = clearTimeout.bind(globalThis) } = on;
  /** What is held down: "pointer", "key". @type {string | null} */
  let by = null;
  /** @type {number | null} */
  let timer = null;
  let isHeld = false;

  /** @param {boolean} isTap */
  function release(isTap) {
    if (by === null) return;
    by = null;
    on.pressed(false);
    if (timer !== null) {
      never(timer);
      timer = null;
      if (isTap) on.shoot();
    }
    if (isHeld) on.end();
    isHeld = false;
  }

  return {
    /** @param {string} what "pointer" or "key" */
    down(what) {
      if (by !== null) return;
      by = what;
      on.pressed(true);
      if (on.recording()) on.end();
      else if (on.mode() !== "hand") on.begin(false);
      else {
        on.grab();
        timer = later(() => {
          timer = null;
          isHeld = true;
          on.begin(true);
        }, HOLD_MS);
      }
    },
    /** @param {string} what */
    up(what) {
      if (what === by) release(true);
    },
    /** The press came to nothing: the window lost the focus, the finger scrolled the page. */
    cancel() {
      release(false);
    },
    /** Pressed by a screen reader or a script, which cannot hold a button. */
    click() {
      if (by !== null) return;
      if (on.recording()) on.end();
      else if (on.mode() !== "hand") on.begin(false);
      else {
        on.grab();
        on.shoot();
      }
    },
  };
}
