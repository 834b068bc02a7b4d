// Tables that sort, search and filter; without this script they are plain tables.
"use strict";
for (const table of document.querySelectorAll("table.data")) {
  const many = table.tBodies[0].rows.length > 10;
  const made = new DataTable(table, {
    order: [], autoWidth: false, paging: many, searching: many || Boolean(table.dataset.filters), info: many, pageLength: 25,
    lengthMenu: [10, 25, 100, { label: "all", value: -1 }], language: { search: "Search:", lengthMenu: "Show _MENU_ rows" },
  });
  const wanted = (table.dataset.filters || "").split(",").filter(Boolean);
  if (!wanted.length) continue;
  const box = document.createElement("div");
  box.className = "filters";
  const headings = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent.trim());
  for (const name of wanted) {
    const index = headings.indexOf(name);
    if (index < 0) continue;
    const label = document.createElement("label");
    label.append(name + " ");
    const select = document.createElement("select");
    select.append(new Option("all", ""));
    const text = (cell) => { const parts = document.createElement("div"); parts.innerHTML = cell; return parts.textContent.trim(); };
    const values = new Set(made.column(index).data().toArray().map(text));
    for (const value of Array.from(values).sort()) select.append(new Option(value, value));
    select.addEventListener("change", () => {
      const found = select.value;
      made.column(index).search.fixed("filter", found ? (content) => content.trim() === found : () => true).draw();
    });
    label.append(select);
    box.append(label);
  }
  table.closest(".scroll").before(box);
}
// Of hundreds of points one is on the way of the Tab key; arrows, Home and End lead to the others.
for (const plot of document.querySelectorAll(".plots svg")) {
  const points = Array.from(plot.querySelectorAll("a[href]:not([tabindex])"));
  if (points.length < 2) continue;
  points.forEach((point, place) => { if (place) point.setAttribute("tabindex", "-1"); });
  plot.addEventListener("keydown", (event) => {
    const now = points.indexOf(event.target.closest("a")), last = points.length - 1;
    const next = { ArrowRight: Math.min(now + 1, last), ArrowLeft: Math.max(now - 1, 0), Home: 0, End: last }[event.key];
    if (now < 0 || next === undefined) return;
    event.preventDefault();
    points[now].setAttribute("tabindex", "-1");
    points[next].setAttribute("tabindex", "0");
    points[next].focus();
  });
}
// All rows on paper.
addEventListener("beforeprint", () => {
  for (const table of document.querySelectorAll("table.data")) {
    const made = new DataTable.Api(table);
    table.dataset.length = made.page.len();
    made.page.len(-1).draw();
  }
});
addEventListener("afterprint", () => {
  for (const table of document.querySelectorAll("table.data")) new DataTable.Api(table).page.len(Number(table.dataset.length)).draw();
});
