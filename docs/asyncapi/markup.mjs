// Descriptions as HTML: paragraphs, lists, `code` and *emphasis*; everything else is text.

export const escape = (text) =>
  String(text).replace(/[&<>"]/g, (one) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[one]);

export const code = (text) => `<code>${escape(text)}</code>`;

// Code first: a star within it is a star.
export const inline = (text) =>
  String(text)
    .split(/`([^`]+)`/)
    .map((part, number) => (number % 2 ? code(part) : escape(part).replace(/\*(\w[^*]*)\*/g, "<em>$1</em>")))
    .join("");

// Paragraphs apart by an empty line; lines that begin with "- " are a list.
export const block = (text) =>
  text
    .trim()
    .split(/\n{2,}/)
    .map((part) =>
      part.startsWith("- ")
        ? `<ul>${part.split(/^- /m).filter(Boolean).map((item) => `<li>${inline(item.trim())}</li>`).join("")}</ul>`
        : `<p>${inline(part)}</p>`,
    )
    .join("\n");
