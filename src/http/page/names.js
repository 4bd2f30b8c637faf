// Names that came from outside, such as ids of items: text and nothing else. What has no shape of its own, or turns the
// text around it, is shown as a symbol, so that two names that differ also look different.

/** Characters of direction, and others that are not seen, with the short names that Unicode has for them. */
const SHORT = new Map([
  ["\u{7f}", "DEL"], ["\u{ad}", "SHY"], ["\u{61c}", "ALM"], ["\u{200b}", "ZWSP"], ["\u{200e}", "LRM"], ["\u{200f}", "RLM"],
  ["\u{2028}", "LS"], ["\u{2029}", "PS"], ["\u{202a}", "LRE"], ["\u{202b}", "RLE"], ["\u{202c}", "PDF"],
  ["\u{202d}", "LRO"], ["\u{202e}", "RLO"], ["\u{2060}", "WJ"], ["\u{2066}", "LRI"], ["\u{2067}", "RLI"],
  ["\u{2068}", "FSI"], ["\u{2069}", "PDI"], ["\u{feff}", "BOM"],
]);
/** The joiners of emoji and of Persian are left: what they join looks different by itself. */
const UNSEEN = /([\u{0}-\u{1f}\u{7f}-\u{9f}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}-\u{202e}\u{2060}\u{2066}-\u{2069}\u{feff}])/u;
/** The names of the control characters of ASCII. Not every font has their pictures. */
const CONTROLS = [
  "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR", "SO", "SI", "DLE", "DC1", "DC2",
  "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
];

function symbolOf(character) {
  const code = character.codePointAt(0);
  return CONTROLS[code] ?? SHORT.get(character) ?? "U+" + code.toString(16).toUpperCase().padStart(4, "0");
}

/** A name as plain text: for titles, options and headlines. */
export const plain = (name) =>
  name.split(UNSEEN).map((part, at) => (at % 2 === 0 ? part : "⟨" + symbolOf(part) + "⟩")).join("");

/** Puts a name into an element, in its own direction, shut off from the text around it. */
export function putName(element, name) {
  const parts = name.split(UNSEEN).map((part, at) => {
    if (at % 2 === 0) return part;
    const sign = document.createElement("span");
    sign.className = "sign";
    sign.textContent = symbolOf(part);
    return sign;
  });
  element.dir = "auto";
  element.replaceChildren(...parts.filter((part) => part !== ""));
}

/** A new element with a name in it. */
export function named(name) {
  const element = document.createElement("bdi");
  element.className = "name";
  putName(element, name);
  return element;
}
