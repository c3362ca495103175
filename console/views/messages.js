// The messages of a school: all of them, one of them, and the list for the gate.
import { Gate } from "./messages/gate.js";
import { List } from "./messages/list.js";
import { One } from "./messages/one.js";

class RecadoMessages extends HTMLElement {
  connectedCallback() {
    const [id, part] = this.context.path;
    this.shown = !id ? new List(this.context) : part === "gate" ? new Gate(this.context, id) : new One(this.context, id);
    this.append(this.shown.element);
    this.shown.begin();
  }

  disconnectedCallback() {
    this.shown.stop();
  }
}

customElements.define("recado-messages", RecadoMessages);
