// Light or dark: the reader's system decides until the button does. Print styles have no say in it.
const root = document.documentElement;
const button = document.querySelector("button.theme");
const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
const label = () => { button.textContent = isDark() ? "light" : "dark"; };
button.hidden = false;
button.title = "light or dark";
button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
label();

// A click on a heading sorts its table; a second click turns the order.
const number = (text) => {
  const found = text.replaceAll("\u2212", "-").replaceAll(",", "").match(/[-+]?\d*\.?\d+(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : NaN;
};
const key = (row, column) => {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.firstChild?.textContent.trim() ?? "";
  return cell.tagName === "TH" || cell.classList.contains("text") ? cell.textContent.trim() : number(text);
};
const compare = (a, b) => {
  if (typeof a === "string") return a.localeCompare(b, undefined, { numeric: true });
  return Number.isNaN(a) || Number.isNaN(b) ? Number.isNaN(a) - Number.isNaN(b) : a - b;
};
for (const table of document.querySelectorAll("table:not(.pairs)")) {
  const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      const known = (row) => { const k = key(row, column); return k === "" || Number.isNaN(k) ? 1 : 0; };
      rows.sort((a, b) =>
        known(a) - known(b) || (up ? 1 : -1) * compare(key(a, column), key(b, column)));
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}
