// Everything that moves. Without it the page still says all it has to say.

async function start() {
  sortable();
  copyable();
  const data = await unpacked(document.getElementById("data"));
  const categories = switches("categories", redrawAll).chosen;
  root.classList.add("js");
  timelines(data, categories);
  const best = document.querySelector(".card");
  const first = Math.max(0, data.regimes.findIndex((regime) => best && regime.name === best.dataset.regime));
  packings(data, categories)(first);
  oneOf("layers", "layers")(first);
  curves(data);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  root.dataset.ready = "true";
}

start();
