/** How much room a view has: as high as it may be, no higher than is in sight, or the whole screen. */

/** Below this a picture is of no use, in CSS pixels; what stands below it comes on top. */
const LOWEST = 240;
/** Share of what is in sight that code above the view may take. */
const MOST_CODE = 0.2;
/** Between the end of the view and that of what scrolls. */
const MARGIN = 10;

/**
 * Height of the picture's row.
 * @param {number} wanted @param {number} sight height of what scrolls around the view
 * @param {number} above of all that is to be seen with the view: above it, and its own bars
 * @param {number} [others] of what shares the row's height with the picture
 */
export function heightFor(wanted, sight, above, others = 0) {
  return Math.min(wanted, Math.max(Math.floor(sight - above - MARGIN), LOWEST + others));
}

/**
 * What scrolls around an element. The output of a cell may scroll too, but is as high as what it
 * holds.
 * @param {HTMLElement} element
 */
function scrollerOf(element) {
  let from = element;
  for (let one = element.parentElement; one; one = one.parentElement)
    if (one.matches(".jp-OutputArea")) from = one;
  for (let one = from.parentElement; one; one = one.parentElement) {
    const { overflowY } = getComputedStyle(one);
    if (/auto|scroll/.test(overflowY) && one.clientHeight > LOWEST) return one;
  }
  return document.documentElement;
}

/** @param {Element} from @param {Element} to @returns {number} from the top of one to that of the other */
const distance = (from, to) => to.getBoundingClientRect().top - from.getBoundingClientRect().top;

/**
 * What shall be in sight together with a view: the whole cell, so that nobody has to scroll where
 * the code is a few lines, or else all of its output, the tabs above the view as well.
 * @param {HTMLElement} root @param {number} sight
 */
function topOf(root, sight) {
  const output = root.closest(".jp-OutputArea-output") ?? root;
  const cell = root.closest(".jp-CodeCell");
  return cell && distance(cell, output) <= sight * MOST_CODE ? cell : output;
}

/**
 * @param {HTMLElement} root of the view @param {HTMLElement} main what is made higher or lower
 * @param {object} options
 * @param {() => number} options.wanted height of `main`
 * @param {() => number} options.others height that others take of it
 * @param {(text: string) => void} options.tell
 * @param {() => void} options.changed full screen has begun or ended
 */
export function fitRoom(root, main, { wanted, others, tell, changed }) {
  /** @type {HTMLElement|null} */
  let scroller = null;
  let given = "";
  const isFull = () => {
    const tree = /** @type {Document|ShadowRoot} */ (root.getRootNode());
    return (tree.fullscreenElement ?? document.fullscreenElement) === root;
  };

  function fit() {
    if (isFull() || !root.clientHeight) return; // it is not in sight now
    if (main.style.height && main.style.height !== given) return; // a hand has drawn it so
    if (!scroller?.contains(root)) {
      if (scroller) observer.unobserve(scroller);
      scroller = scrollerOf(root);
      observer.observe(scroller);
    }
    const sight = scroller.clientHeight;
    const above =
      distance(topOf(root, sight), root) + parseFloat(getComputedStyle(scroller).paddingTop);
    const bars = root.offsetHeight - main.offsetHeight;
    const next = `${heightFor(wanted(), sight, above + bars, others())}px`;
    given = next;
    if (main.style.height !== next) main.style.height = next;
  }

  let request = 0;
  const observer = new ResizeObserver(() => {
    request ||= requestAnimationFrame(() => {
      request = 0;
      fit();
    });
  });
  observer.observe(root);
  main.style.height = given = `${wanted()}px`;
  document.addEventListener("fullscreenchange", changed);

  return {
    isFull,
    fit,
    /** Anew, as another height is wanted. */
    reset() {
      main.style.height = given;
      fit();
    },
    async toggleFull() {
      if (isFull()) return document.exitFullscreen();
      try {
        await root.requestFullscreen();
      } catch (error) {
        console.warn("workbench: no full screen", error);
        tell("The browser gives this page no full screen.");
      }
    },
    close() {
      observer.disconnect();
      cancelAnimationFrame(request);
      document.removeEventListener("fullscreenchange", changed);
      if (isFull()) document.exitFullscreen();
    },
  };
}
