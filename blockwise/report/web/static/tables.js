// Tables that are sorted by the column whose heading is pressed, and commands that are copied.

function sortBy(table, column, heading) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const isCommand = table.classList.contains("commands") && column === heading.parentNode.cells.length - 1;
  const isFigure = column >= Number(table.dataset.figures) && !isCommand;
  const text = (row) => row.cells[column].textContent;
  // "<0.001" is less than any 0.001 that a cell says.
  const below = (row) => (text(row).startsWith("<") ? 1 - Number.EPSILON : 1);
  const number = (row) => below(row) * Number.parseFloat(text(row).replace(/^</, "").replaceAll(",", ""));
  const rows = [...table.tBodies[0].rows];
  const isNumber = isFigure && rows.some((row) => !Number.isNaN(number(row)));
  const order = (a, b) => {
    const way = isNumber ? number(a) - number(b) : text(a).localeCompare(text(b));
    return descending ? -way : way;
  };
  // What has no number, as a run that diverged, stands last either way.
  const lacks = (row) => isNumber && Number.isNaN(number(row));
  table.tBodies[0].append(...rows.filter((row) => !lacks(row)).sort(order), ...rows.filter(lacks));
}

function sortable() {
  document.querySelectorAll("table.sortable").forEach((table) => {
    table.querySelectorAll("thead th").forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sortBy(table, column, heading));
      heading.replaceChildren(button);
    });
  });
}

function copyable() {
  document.querySelectorAll("[data-copy]").forEach((code) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
      }
    });
    code.after(" ", button);
  });
}
