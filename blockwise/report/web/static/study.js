// The page of a study: tables that are sorted, commands that are copied, and losses by epoch.

async function start() {
  sortable();
  copyable();
  const data = await unpacked(document.getElementById("data"));
  root.classList.add("js");
  curves(data);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  root.dataset.ready = "true";
}

start();
