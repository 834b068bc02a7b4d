// Curves of a spectrum: unpacked from the script that hands them over, drawn with uPlot.
"use strict";
const bosscal = {
  waiting: new Map(),
  drawn: [], // each panel with its plot, and what its series show: the curve, and the key of the exposure that is laid over
  hand_over(key, content) {
    const taken = bosscal.waiting.get(key) || draw_page;
    taken(content, key);
  },
};

const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#999999"];
// Other exposures have colors that no panel has, and are dashed, or rings instead of dots; of more than three the dashes differ.
const OVER = ["--ink", "#e69f00", "#56b4e9"], DASHES = [[7, 4], [2, 3], [12, 3, 2, 3]];
const RANGE = 2; // Å: a row of another exposure that is further away is not drawn

async function unpacked(content) {
  const bytes = Uint8Array.from(atob(content.packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  let place = 0;
  const curve = (step, gaps) => {
    const values = new Array(content.number);
    let sum = 0;
    for (let index = 0; index < content.number; index++) {
      let value = 0, factor = 1, byte;
      do { byte = packed[place++]; value += (byte & 0x7f) * factor; factor *= 128; } while (byte & 0x80);
      sum += value % 2 ? -(value + 1) / 2 : value / 2;
      values[index] = sum * step;
    }
    for (const [first, last] of gaps) values.fill(null, first, last + 1);
    return values;
  };
  const wavelengths = curve(content.wavelength_step, []);
  const panels = content.panels.map((panel) => ({ ...panel, data: panel.curves.map((each) => curve(each.step, content.gaps[each.gaps])) }));
  return { wavelengths, panels };
}

function at(runs, index) {
  const run = runs.find(([first, last]) => first <= index && index <= last);
  return run || null;
}

function shaded(content, wavelengths) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    const band = (first, last, color) => {
      const left = plot.valToPos(wavelengths[first], "x", true), right = plot.valToPos(wavelengths[last], "x", true);
      const begin = Math.max(left, bbox.left), end = Math.min(Math.max(right, left + 1), bbox.left + bbox.width);
      if (end > begin) { ctx.fillStyle = color; ctx.fillRect(begin, bbox.top, end - begin, bbox.height); }
    };
    for (const [first, last] of content.masks) band(first, last, "rgba(128,128,128,.25)");
    for (const [first, last] of content.sky_lines) {
      const left = plot.valToPos(wavelengths[first], "x", true), right = plot.valToPos(wavelengths[last], "x", true);
      const begin = Math.max(left, bbox.left), end = Math.min(Math.max(right, left + 1), bbox.left + bbox.width);
      if (end > begin) { ctx.fillStyle = "#56b4e9"; ctx.fillRect(begin, bbox.top, end - begin, 4 * devicePixelRatio); }
    }
    ctx.restore();
  };
}

function told(value) { return value === null || value === undefined ? "–" : value.toPrecision(5); }

function color_of(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

async function draw_page(content, key) {
  const place = document.getElementById("curves-here");
  if (!place || place.dataset.key !== key) return;
  if (typeof DecompressionStream === "undefined") {
    place.textContent = "This browser cannot unpack the curves; a newer one can.";
    return;
  }
  const { wavelengths, panels } = await unpacked(content);
  const sync = uPlot.sync("spectrum");
  const ink = color_of("--ink"), rule = color_of("--rule");
  const width = () => Math.min(place.clientWidth, 1300);
  const plots = bosscal.drawn;
  for (const panel of panels) {
    const figure = document.createElement("div");
    figure.className = "curve";
    const heading = document.createElement("h3");
    heading.textContent = panel.title + (panel.unit ? ` [${panel.unit}]` : "");
    figure.append(heading);
    place.append(figure);
    const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1 } };
    const near = (value, index) => {
      if (index === null) return "–";
      const mask = at(content.masks, index);
      const line = at(content.sky_lines, index) ? ", sky line" : "";
      return `${value.toFixed(2)} Å, row ${content.first_row + index}${line}${mask ? ", " + content.mask_names[mask[2]] : ""}`;
    };
    const scale = (plot, low, high) => {
      const [first, last] = plot.series[0].idxs || [0, wavelengths.length - 1];
      const seen = [];
      for (const values of plot.data.slice(1)) for (let index = first; index <= last; index++) if (values[index] !== null) seen.push(values[index]);
      if (!seen.length) return [low ?? 0, high ?? 1];
      seen.sort((a, b) => a - b);
      // Nothing is cut when zoomed in; of a whole spectrum one bad pixel in a thousand does not set the scale.
      const cut = last - first > 0.9 * wavelengths.length ? Math.floor(seen.length / 1000) : 0;
      const bottom = seen[cut], top = seen[seen.length - 1 - cut], room = (top - bottom || Math.abs(top) || 1) * 0.06;
      return [bottom - room, top + room];
    };
    const plot = new uPlot({
      width: width(), height: panel.title === "Flux" ? 300 : 190, cursor: { sync: { key: sync.key }, drag: { x: true, y: false } },
      scales: { x: { time: false }, y: { range: scale } },
      axes: [panel === panels[panels.length - 1] ? { ...axis, label: "vacuum wavelength [Å]", labelSize: 22 } : { ...axis, size: 30 },
        { ...axis, size: 70 }],
      series: [
        { label: "at", value: (_, value, __, index) => near(value, index) },
        ...panel.curves.map((each, number) => ({
          label: each.label, stroke: COLORS[number % COLORS.length], width: 1, spanGaps: false,
          paths: each.dots ? () => null : undefined, points: each.dots ? { show: true, size: 3, width: 0, fill: COLORS[0] } : { show: false },
          value: (_, value) => told(value),
        })),
      ],
      hooks: { drawClear: [shaded(content, wavelengths)] },
    }, [wavelengths, ...panel.data], figure);
    plots.push({ panel, plot, shown: [null, ...panel.curves.map((curve) => ({ key: "", curve, step: curve.step }))] });
  }
  place.dataset.drawn = String(plots.length);
  addEventListener("resize", () => plots.forEach(({ plot }) => plot.setSize({ width: width(), height: plot.height })));
  overlays(wavelengths);
  saving(content, key, wavelengths);
}

// Other curves, at the same zoom.
function replaced(plot, data) {
  const { min, max } = plot.scales.x;
  plot.setData(data, false);
  plot.setScale("x", { min, max });
}

// For each wavelength the nearest row of another exposure, -1 without any.
function nearest(wavelengths, others) {
  let near = 0;
  return wavelengths.map((wanted) => {
    while (near + 1 < others.length && Math.abs(others[near + 1] - wanted) <= Math.abs(others[near] - wanted)) near++;
    return Math.abs(others[near] - wanted) < RANGE ? near : -1;
  });
}

// Lay another exposure over every panel that it has too; returns over how many.
function lay_over(key, name, number, other, wavelengths) {
  const color = OVER[number % OVER.length], dash = DASHES[Math.floor(number / OVER.length) % DASHES.length];
  const stroke = color.startsWith("--") ? color_of(color) : color;
  const rows = nearest(wavelengths, other.wavelengths);
  let found = 0;
  for (const each of bosscal.drawn) {
    const same = other.panels.find((panel) => panel.title === each.panel.title);
    if (!same) continue;
    const data = [...each.plot.data];
    for (const curve of each.panel.curves.slice(0, each.panel.over || 1)) {
      const place = same.curves.findIndex((its) => its.label === curve.label);
      if (place < 0) continue;
      each.plot.addSeries({
        label: `${curve.label}, ${name}`, stroke, width: 1, dash, spanGaps: false, paths: curve.dots ? () => null : undefined,
        points: curve.dots ? { show: true, size: 5, width: 1, stroke, fill: "transparent" } : { show: false },
        value: (_, value) => told(value),
      }, data.length);
      data.push(rows.map((row) => (row < 0 ? null : same.data[place][row])));
      each.shown.push({ key, curve, step: same.curves[place].step });
    }
    if (data.length === each.plot.data.length) continue;
    replaced(each.plot, data);
    found++;
  }
  return found;
}

function take_away(key) {
  for (const each of bosscal.drawn) {
    const data = [...each.plot.data];
    for (let place = data.length - 1; place > 0; place--) {
      if (each.shown[place].key !== key) continue;
      each.plot.delSeries(place);
      data.splice(place, 1);
      each.shown.splice(place, 1);
    }
    if (data.length !== each.plot.data.length) replaced(each.plot, data);
  }
}

function overlays(wavelengths) {
  const box = document.getElementById("overlays"), words = document.getElementById("overlaid");
  if (!box) return;
  box.hidden = false;
  const shown = new Map();
  const tell = () => { words.textContent = shown.size ? `Dashed: ${Array.from(shown.values()).join(", ")}.` : ""; };
  box.querySelectorAll("input").forEach((choice, number) => {
    const key = choice.dataset.key, name = choice.parentElement.textContent.trim();
    let other = null, asked = false;
    const change = () => {
      if (shown.has(key) === choice.checked) return;
      if (choice.checked) {
        const found = lay_over(key, name, number, other, wavelengths);
        shown.set(key, `${name} over ${found} panel${found === 1 ? "" : "s"}`);
      } else {
        take_away(key);
        shown.delete(key);
      }
      tell();
    };
    choice.addEventListener("change", () => {
      if (other) { change(); return; }
      if (asked) return; // it is on its way, and then drawn if it is still wanted
      asked = true;
      bosscal.waiting.set(key, async (content) => { other = await unpacked(content); change(); });
      const script = document.createElement("script");
      script.src = choice.dataset.script;
      script.addEventListener("error", () => {
        asked = choice.checked = false;
        words.textContent = `${name} cannot be read: ${choice.dataset.script} is not there.`;
      });
      document.body.append(script);
    });
  });
}

// What is drawn, as a table with commas: the rows that are zoomed to, the exposures that are ticked.
function table_of(content, key, wavelengths, simulated) {
  const { min, max } = bosscal.drawn[0].plot.scales.x;
  const rows = wavelengths.map((_, index) => index).filter((index) => min <= wavelengths[index] && wavelengths[index] <= max);
  const number = (value) => (value === null ? "" : String(Number(value.toPrecision(9))));
  const columns = [
    ["row", "pixel", "CCD row, from 0", (index) => String(content.first_row + index)],
    ["wavelength", "Angstrom", `vacuum wavelength, in steps of ${content.wavelength_step}`, (index) => number(wavelengths[index])],
    ["mask", "", "SPPIXMASK bits", (index) => { const run = at(content.masks, index); return run ? content.mask_names[run[2]] : ""; }],
  ];
  for (const { panel, plot, shown } of bosscal.drawn) {
    shown.forEach((each, place) => {
      if (!each) return;
      const name = each.curve.name + (each.key ? "_" + each.key.split("-").slice(-2).join("_") : "");
      const words = `${panel.title}: ${each.curve.label}${each.key ? ` of ${each.key}, at the nearest wavelength` : ""}`;
      columns.push([name, panel.unit, `${words}, in steps of ${each.step}`, (index) => number(plot.data[place][index])]);
    });
  }
  const lines = [
    `# ${key}${simulated ? ", simulated data" : ""}`,
    `# Rounded to what can be seen, in the steps given; ${rows.length} of ${wavelengths.length} rows. Columns [units]:`,
    ...columns.map(([name, unit, words]) => `# ${name}${unit ? ` [${unit}]` : ""}: ${words}`),
    columns.map(([name]) => name).join(","),
    ...rows.map((index) => columns.map(([, , , value]) => value(index)).join(",")),
  ];
  return lines.join("\n") + "\n";
}

function saving(content, key, wavelengths) {
  const box = document.getElementById("saving"), place = document.getElementById("curves-here");
  if (!box) return;
  box.hidden = false;
  box.querySelector("button").addEventListener("click", () => {
    const link = document.createElement("a");
    const text = table_of(content, key, wavelengths, place.dataset.simulated !== undefined);
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = `${key.replace("/", "-")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
}
