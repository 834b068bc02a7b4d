// Curves of a spectrum: unpacked from the script that hands them over, drawn with uPlot.
"use strict";
const bosscal = {
  waiting: new Map(),
  hand_over(key, content) {
    const taken = bosscal.waiting.get(key) || draw_page;
    taken(content, key);
  },
};

const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#999999"];

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
  const plots = [];
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
          value: (_, value) => (value === null || value === undefined ? "–" : value.toPrecision(5)),
        })),
      ],
      hooks: { drawClear: [shaded(content, wavelengths)] },
    }, [wavelengths, ...panel.data], figure);
    plots.push(plot);
  }
  place.dataset.drawn = String(plots.length);
  addEventListener("resize", () => plots.forEach((plot) => plot.setSize({ width: width(), height: plot.height })));
  overlays(plots[0], wavelengths);
}

function overlays(plot, wavelengths) {
  const box = document.getElementById("overlays");
  if (!box) return;
  box.hidden = false;
  for (const choice of box.querySelectorAll("input")) {
    let series = null;
    choice.addEventListener("change", () => {
      if (series !== null) { plot.setSeries(series, { show: choice.checked }); return; }
      bosscal.waiting.set(choice.dataset.key, async (content) => {
        const other = await unpacked(content);
        const flux = other.panels[0].data[0];
        // At the wavelengths of this one: the nearest row of the other.
        let near = 0;
        const values = wavelengths.map((wanted) => {
          while (near + 1 < flux.length && Math.abs(other.wavelengths[near + 1] - wanted) <= Math.abs(other.wavelengths[near] - wanted)) near++;
          return Math.abs(other.wavelengths[near] - wanted) < 2 ? flux[near] : null;
        });
        series = plot.series.length;
        plot.addSeries({ label: choice.parentElement.textContent.trim(), stroke: COLORS[series % COLORS.length], width: 1, points: { show: false },
          value: (_, value) => (value === null || value === undefined ? "–" : value.toPrecision(5)) }, series);
        plot.setData([...plot.data, values]);
      });
      const script = document.createElement("script");
      script.src = choice.dataset.script;
      document.body.append(script);
    });
  }
}
