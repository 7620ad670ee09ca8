// A page of tables alone.

sortable();
copyable();
document.documentElement.classList.add("js");
document.documentElement.dataset.ready = "true";
