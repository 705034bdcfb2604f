/**
 * When to send a frame: at the rate that is wanted, and never more than a few ahead of what
 * the kernel has acknowledged. What does not go is left out, never queued. Pure.
 */

/** @param {() => number} size how many may be on their way */
export function createWindow(size) {
  /** When a frame of a number was sent, ms. @type {Map<number, number>} */
  const sent = new Map();
  return {
    isOpen: () => sent.size < size(),
    count: () => sent.size,
    /** @param {number} seq @param {number} now */
    send(seq, now) {
      sent.set(seq, now);
    },
    /** @returns {number | null} ms that it took; null if nobody waits for it @param {number} seq @param {number} now */
    acknowledge(seq, now) {
      const at = sent.get(seq);
      sent.delete(seq);
      return at === undefined ? null : now - at;
    },
    /** For how long nothing was heard of the oldest one, ms. @param {number} now */
    silence(now) {
      let oldest = now;
      for (const at of sent.values()) oldest = Math.min(oldest, at);
      return now - oldest;
    },
    clear() {
      sent.clear();
    },
  };
}

/** Lets frames through at a rate: those nearest to the beat. */
export function createBeat() {
  /** @type {number | null} */
  let due = null;
  return {
    /** @param {number} now ms @param {number} rate a second; 0: every frame */
    isDue(now, rate) {
      if (!(rate > 0)) {
        due = null;
        return true;
      }
      const period = 1000 / rate;
      if (due === null || now > due + period || now < due - 2 * period) due = now;
      if (now < due - 4) return false; // a frame may come a little early
      due += period;
      return true;
    },
    reset() {
      due = null;
    },
  };
}

/**
 * Gathers what is to be sent, so that thirty frames a second are not thirty messages: each
 * costs page, server and kernel more than the bytes do. The first goes at once; what comes
 * soon after it goes together.
 *
 * @template Item
 * @param {(items: Item[]) => void} send
 * @param {{most?: number, period?: number, later?: (work: () => void, ms: number) => number, never?: (timer: number) => void}} options
 *   `most` go together, `period` ms after the last message at the latest
 */
export function createFrameOutbox(
  send,
  {
    most = 3,
    period = 100,
    later = setTimeout.bind(globalThis),
    never = clearTimeout.bind(globalThis),
  } = {},
) {
  /** @type {Item[]} */
  let items = [];
  /** Runs while a message was sent lately. @type {number | null} */
  let rest = null;

  function flush() {
    if (rest !== null) never(rest);
    rest = later(() => {
      rest = null;
      if (items.length > 0) flush();
    }, period);
    const gathered = items;
    items = [];
    if (gathered.length > 0) send(gathered);
  }

  return {
    /** @param {Item} item @param {boolean} isUrgent whether it must not wait */
    put(item, isUrgent = false) {
      items.push(item);
      if (isUrgent || rest === null || items.length >= most) flush();
    },
    clear() {
      items = [];
      if (rest !== null) never(rest);
      rest = null;
    },
  };
}

/** The number of frames and what was left out, over the last two seconds. */
export function createMeter(span = 2000) {
  /** @type {number[]} */
  let times = [];
  return {
    /** @param {number} now ms */
    note(now) {
      times.push(now);
      if (times.length > 400) times = times.slice(-200);
    },
    /** @param {number} now ms @returns {number} a second */
    rate(now) {
      times = times.filter((time) => time > now - span);
      if (times.length < 2) return 0;
      return ((times.length - 1) * 1000) / Math.max(times[times.length - 1] - times[0], 1);
    },
  };
}
