/* One study is worked on in one tab. The tab that was opened last goes on; the others say so and stop. Were both to go
   on, no answer would be lost (keys make them idempotent), but the annotator would judge the same item twice. */
import { uuid } from "./dom.js";

export function onlyHere(name, onOther) {
  if (!("BroadcastChannel" in window)) return;
  const me = uuid();
  const channel = new BroadcastChannel(name);
  channel.addEventListener("message", ({ data }) => data !== me && onOther());
  channel.postMessage(me);
}
