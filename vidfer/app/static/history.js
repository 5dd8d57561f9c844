// The clips that this tab has sent: kept by the browser until the tab is closed, so that a reload finds them.

const KEY = "vidfer-clips";
const MOST = 20;

/** `[{id, name}]`, the latest first. */
export function clips() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  } catch {
    return []; // not allowed here, or written by something else
  }
}

const keep = (list) => {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(list.slice(0, MOST)));
  } catch { /* not allowed here: the tab forgets its clips on a reload */ }
};

/** Note a clip, or what became of it. */
export const remember = (clip) => {
  const known = clips(), old = known.find((each) => each.id === clip.id);
  keep(old ? known.map((each) => (each === old ? { ...old, ...clip } : each)) : [clip, ...known]);
};

export const forget = (id) => keep(clips().filter((each) => each.id !== id));
