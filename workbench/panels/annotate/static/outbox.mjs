/**
 * Finished edits on their way to the kernel: none is lost, none overtakes another.
 *
 * For each image at most one edit is under way; edits made meanwhile replace each other
 * and go out when the answer is in, based on the revision that the answer names. Until
 * the kernel has acknowledged it, an edit also lies in `storage` (the browser's
 * localStorage), so that it outlives a dead kernel and a page reload. What was refused for a
 * reason that passes is sent again now and then, and says so until it is saved.
 *
 * @typedef {EditState & {seq: number, since: number, sentAt: number}} Flying
 * @typedef {Failure & {at: number}} Failed
 * @typedef {{waiting: EditState|null, flying: Flying|null, failure: Failed|null, stored: boolean}} Slot
 */
/** @import { EditState, Failure, NotSavedMessage, SavedMessage } from "../../types.d.ts" */

const PREFIX = "workbench:unsaved:";

/**
 * @param {object} options
 * @param {(message: {kind: "edit", seq: number, key: string} & EditState) => void} options.send throws when the connection is gone
 * @param {Storage|null} options.storage null where the browser has none
 * @param {() => void} options.changed called after every change of `status`
 * @param {() => number} options.now milliseconds
 */
export function createOutbox({ send, storage, changed, now }) {
  /** @type {Map<string, Slot>} */
  const slots = new Map();
  let lastSeq = 0;

  /** @param {string} key @returns {Slot} */
  function slotOf(key) {
    const slot = slots.get(key) ?? { waiting: null, flying: null, failure: null, stored: true };
    slots.set(key, slot);
    return slot;
  }

  /** @param {string} key @param {EditState} edit */
  function keep(key, edit) {
    try {
      storage?.setItem(PREFIX + key, JSON.stringify(edit));
    } catch (error) {
      // A full or forbidden storage costs the safety net only; the edit still goes out.
      console.warn("workbench: unsaved edits cannot be kept in this browser", error);
    }
  }

  /** @param {string} key @returns {EditState|null} */
  function read(key) {
    try {
      return JSON.parse(storage?.getItem(PREFIX + key) ?? "null");
    } catch (error) {
      console.warn(`workbench: ${PREFIX + key} cannot be read and is left alone`, error);
      return null;
    }
  }

  /** @param {string} key */
  function launch(key) {
    const slot = slotOf(key);
    if (slot.flying || !slot.waiting || (slot.failure && !slot.failure.passes)) return;
    lastSeq += 1;
    const flying = { ...slot.waiting, seq: lastSeq, since: now(), sentAt: now() };
    slot.flying = flying;
    slot.waiting = null;
    transmit(key, flying);
  }

  /** @param {string} key @param {Flying} edit */
  function transmit(key, edit) {
    const { seq, revision, boxes, labelled, proposals, what, names, agreed = false } = edit;
    const gone = edit.gone ? { gone: edit.gone } : {};
    const state = { revision, boxes, labelled, proposals, what, names, agreed, ...gone };
    try {
      send({ kind: "edit", seq, key, ...state });
    } catch (error) {
      console.warn("workbench: the kernel cannot be reached; the edit is kept", error);
    }
  }

  return {
    /**
     * Hand over the state of an image after a finished edit.
     * @param {string} key @param {EditState} edit
     * @param {boolean} stored whether to keep it beyond the page's life
     */
    put(key, edit, stored) {
      const slot = slotOf(key);
      slot.waiting = edit;
      slot.stored = stored;
      if (stored) keep(key, edit);
      launch(key);
      changed();
    },

    /**
     * The kernel has written edit `seq`. Returns whether it was one of ours.
     * @param {Pick<SavedMessage, "key" | "seq" | "revision">} message
     */
    saved({ key, seq, revision }) {
      const slot = slots.get(key);
      if (!slot || slot.flying?.seq !== seq) return false;
      slot.flying = null;
      slot.failure = null;
      if (slot.waiting) {
        slot.waiting = { ...slot.waiting, revision };
        if (slot.stored) keep(key, slot.waiting);
        launch(key);
      } else {
        slots.delete(key);
        storage?.removeItem(PREFIX + key);
      }
      changed();
      return true;
    },

    /**
     * The kernel could not write edit `seq`: hold the newest state until somebody decides, or
     * until it is time to try again.
     * @param {Pick<NotSavedMessage, "key" | "seq"> & Failure} message
     */
    failed({ key, seq, ...failure }) {
      const slot = slots.get(key);
      if (!slot?.flying || slot.flying.seq !== seq) return false;
      const { revision, boxes, labelled, proposals, gone, what, names, agreed } = slot.flying;
      slot.waiting = slot.waiting ?? { revision, boxes, labelled, proposals, gone, what, names };
      if (failure.passes && agreed) slot.waiting.agreed = agreed;
      slot.flying = null;
      slot.failure = { ...failure, at: now() };
      changed();
      return true;
    },

    /**
     * Try a failed edit again, for instance after the user has chosen to keep it.
     * @param {string} key @param {{revision?: string, agreed?: boolean}} choice
     */
    retry(key, { revision, agreed = false }) {
      const slot = slots.get(key);
      if (!slot?.failure || !slot.waiting) return;
      slot.failure = null;
      slot.waiting = { ...slot.waiting, revision: revision ?? slot.waiting.revision, agreed };
      launch(key);
      changed();
    },

    /**
     * Say what is not saved yet in other words, such as other class ids.
     * @param {(edit: EditState) => EditState} change
     */
    translate(change) {
      for (const [key, slot] of slots) {
        if (slot.flying) slot.flying = { ...slot.flying, ...change(slot.flying) };
        if (slot.waiting) slot.waiting = change(slot.waiting);
        const newest = slot.waiting ?? slot.flying;
        if (newest && slot.stored) keep(key, newest);
      }
    },

    /** Forget what is unsaved of an image. @param {string} key */
    drop(key) {
      slots.delete(key);
      storage?.removeItem(PREFIX + key);
      changed();
    },

    /** The newest state that is not saved yet, or null. @param {string} key @returns {EditState|null} */
    unsaved(key) {
      const slot = slots.get(key);
      return slot?.waiting ?? slot?.flying ?? null;
    },

    /** @param {string} key @returns {Failure|null} */
    failure(key) {
      return slots.get(key)?.failure ?? null;
    },

    /**
     * Take up what an earlier page left behind, and send it.
     * @param {string} scope beginning of the keys to take @returns {string[]} the keys taken
     */
    recover(scope) {
      if (!storage) return [];
      const names = Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "");
      const keys = names
        .filter((name) => name.startsWith(PREFIX + scope))
        .map((name) => name.slice(PREFIX.length))
        .filter((key) => !slots.has(key) && read(key));
      for (const key of keys) {
        slotOf(key).waiting = read(key);
        launch(key);
      }
      if (keys.length) changed();
      return keys;
    },

    /**
     * Send again what was not answered for `patience` milliseconds, or was refused so long ago
     * for a reason that passes; the kernel knows repeats.
     * @param {number} patience
     */
    resend(patience) {
      for (const [key, slot] of slots) {
        if (slot.flying && now() - slot.flying.sentAt >= patience) {
          slot.flying.sentAt = now();
          transmit(key, slot.flying);
        } else if (slot.failure?.passes && now() - slot.failure.at >= patience) {
          launch(key);
        }
      }
    },

    /** @returns {{pending: number, failed: string[], oldest: number}} `oldest`: milliseconds without an answer */
    status() {
      const failed = [...slots].filter(([, slot]) => slot.failure).map(([key]) => key);
      const since = [...slots.values()].map((slot) => slot.flying?.since ?? now());
      return { pending: slots.size, failed, oldest: now() - Math.min(now(), ...since) };
    },
  };
}
