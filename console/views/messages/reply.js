// What a word on a handset did, in words.
import { h, icon } from "../../lib/dom.js";
import { t } from "./words.js";

const KINDS = { stop: ["bad", "blocked"], start: ["good", "done"], help: ["warn", "warning"] };

export function wordTag(reply) {
  if (!KINDS[reply.word]) return null;
  const [kind, iconName] = KINDS[reply.word];
  return h("p", {}, h("span", { class: `tag ${kind}` }, icon(iconName), t(`w_${reply.word}`)));
}
