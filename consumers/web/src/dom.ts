// Elements in one call, and texts that are written only when they differ.
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** Write a text if it is another; says whether it was. */
export function put(node: Node, text: string): boolean {
  if (node.textContent === text) return false;
  node.textContent = text;
  return true;
}

export function select(
  label: string,
  options: readonly (readonly [string, string])[],
  value: string,
  changed: (value: string) => void,
): HTMLSelectElement {
  const element = el("select", { "aria-label": label, change: () => changed(element.value) });
  for (const [key, text] of options) element.append(el("option", { value: key }, text));
  element.value = value;
  return element;
}

export function variable(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** up, down or flat: the class that colours a figure. */
export function tone(value: number | null | undefined): "up" | "down" | "flat" {
  return value == null || value === 0 ? "flat" : value > 0 ? "up" : "down";
}
