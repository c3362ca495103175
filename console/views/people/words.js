// What the view of people says wherever one is in it; each part has its own words beside.
import { words } from "../../lib/words.js";

export const t = words({
  es: { title: "Personas", not_loaded: "Esta sección no se pudo cargar. Revise su conexión y recargue la página." },
  en: { title: "People", not_loaded: "This section could not be loaded. Check your connection and reload the page." },
});
