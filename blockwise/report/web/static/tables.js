// Tables that are sorted by the column whose heading is pressed, and commands that are copied.

function sortBy(table, column, heading) {
  const descending = heading.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const isCommand = table.classList.contains("commands") && column === heading.parentNode.cells.length - 1;
  const isFigure = column >= Number(table.dataset.figures) && !isCommand;
  const key = (row) => {
    const text = row.cells[column].textContent;
    return isFigure ? Number.parseFloat(text.replaceAll(",", "")) || 0 : text;
  };
  const order = (a, b) => {
    const x = key(a), y = key(b);
    const way = isFigure ? x - y : x.localeCompare(y);
    return descending ? -way : way;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
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
