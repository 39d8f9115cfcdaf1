/* Trends of a pair, a tenant or the fleet: uPlot charts from our JSON, redrawn when the theme changes. */
(() => {
  "use strict";

  const HEIGHT = 160;
  // What has no unit is counted: there is no half of a job.
  const WHOLE = [1, 2, 5].flatMap((step) => [0, 1, 2, 3, 4, 5, 6, 7, 8].map((power) => step * 10 ** power)).sort((a, b) => a - b);
  const LEAST_S = 300; // what keys zoom to at most
  const ZOOMS = { "+": 0.5, "=": 0.5, "-": 2, "0": Infinity };
  const FEW = 30; // so few readings make no line: show each
  const { toneOf, dashOf, token, font, drawGaps, drawLimits, drawMarks, linkMarks } = window.pkAround;

  // --- The chart

  // The lines first, then the least and the most of each one's band.
  function merged(series) {
    const tables = series.map((one) => [one.at, one.values]);
    for (const { band } of banded(series)) tables.push([0, 1, 2].map((part) => band.map((row) => row[part])));
    if (tables.length === 1) return tables[0];
    return uPlot.join(tables, tables.map((table) => table.map(() => 2)));
  }

  function banded(series) {
    return series.filter((one) => one.band.length);
  }

  function bandsOf({ series }) {
    const edge = { stroke: "transparent", width: 0, points: { show: false }, spanGaps: false };
    const firsts = banded(series).map((_one, place) => series.length + 1 + 2 * place);
    return {
      series: firsts.flatMap(() => [edge, edge]),
      bands: firsts.map((first) => ({ series: [first + 1, first], fill: token("--pk-band") })),
    };
  }

  function topOf(chart) {
    let top = 0;
    for (const one of chart.series) for (const value of one.values) if (value > top) top = value;
    for (const one of chart.series) for (const [, , most] of one.band) if (most > top) top = most;
    // The first limit above the values is worth the room; a far one would flatten the line.
    const next = chart.limits.map((limit) => limit.value).find((value) => value >= top);
    const isShare = chart.unit === "%" && !chart.fits;
    const wanted = next !== undefined && next <= Math.max(top * 8, isShare ? 100 : 0)
      ? Math.max(top, next) : top;
    if (chart.starts_at) return Math.min(100, Math.ceil((wanted + 0.5) / 4) * 4);
    return isShare ? Math.max(100, wanted) : wanted * 1.15 || 1;
  }

  function write(value, unit) {
    if (unit === "%") return `${value}%`;
    return `${value.toLocaleString("en")}${unit && "\u202f"}${unit}`;
  }

  // From the first reading to the last is what uPlot asks for by itself: then all that was asked for,
  // also where nothing was read; else what a person zoomed to, in each chart alike.
  function whole(data) {
    return (plot, from, to) => {
      const isAll = from == null || (from === plot.data[0][0] && to === plot.data[0].at(-1));
      return isAll ? [data.from, data.to] : [from, to];
    };
  }

  function options(chart, data, width) {
    const axis = {
      stroke: () => token("--pk-quiet"),
      font: font(),
      grid: { stroke: () => token("--pk-line"), width: 1 },
      ticks: { show: false },
    };
    const band = bandsOf(chart);
    return {
      width,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zoneOf(data)),
      cursor: { sync: { key: "pk-trends", scales: ["x", null] }, points: { size: 7 }, drag: { x: true, y: false } },
      legend: { show: false },
      padding: [10, 24, 0, 0],
      scales: { x: { time: true, range: whole(data) }, y: { range: [chart.starts_at, topOf(chart)] } },
      axes: [
        { ...axis, grid: { show: false }, size: 28, gap: 7, space: width < 500 ? 64 : 90, values: timesIn },
        { ...axis, size: 58, space: 34, ...(chart.unit === "" && { incrs: WHOLE }), values: (_plot, ticks) => ticks.map((tick) => write(tick, chart.unit)) },
      ],
      series: [{}, ...chart.series.map((one, place) => ({
        label: one.label,
        stroke: () => token(toneOf(one, place)),
        width: 1.5,
        dash: dashOf(one, place),
        points: { show: one.at.length < FEW, size: 5, fill: () => token(toneOf(one, place)) },
        spanGaps: false,
      })), ...band.series],
      bands: band.bands,
      hooks: {
        drawClear: [(plot) => drawGaps(plot, chart)],
        draw: [(plot) => { drawLimits(plot, chart); drawMarks(plot, chart); if (plot.pkMarks) linkMarks(plot, chart); }],
        setCursor: [(plot) => showTip(plot, chart, data)],
      },
    };
  }

  function timesIn(plot, ticks) {
    const span = plot.scales.x.max - plot.scales.x.min;
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const day = { day: "numeric", month: "short" };
    let form = clock;
    if (span > 200 * 86400) form = { month: "short", year: "numeric" };
    else if (span > 4 * 86400) form = day;
    else if (span > 30 * 3600) form = { ...day, ...clock };
    return ticks.map((tick) => new Intl.DateTimeFormat("en-GB", { ...form, timeZone: plot.pkZone }).format(tick * 1000));
  }

  // Days are of UTC, as history counts them.
  function zoneOf(data) {
    return data.pace === "day" ? "UTC" : data.time_zone;
  }

  function instant(seconds, data) {
    const form = data.pace === "day"
      ? { day: "numeric", month: "short", year: "numeric", timeZone: zoneOf(data) }
      : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zoneOf(data) };
    return new Intl.DateTimeFormat("en-GB", form).format(seconds * 1000);
  }

  // Each line's value where the cursor stands, with the least and the most that its period read.
  function valuesAt(plot, chart, data) {
    const place = plot.cursor.idx;
    const number = (value) => write(Math.round(value * 100) / 100, chart.unit);
    const words = chart.series.flatMap((one, line) => {
      const value = place == null ? null : plot.data[line + 1][place];
      if (value == null) return [];
      const first = chart.series.length + 1 + 2 * banded(chart.series).indexOf(one);
      const [least, most] = one.band.length ? [plot.data[first][place], plot.data[first + 1][place]] : [];
      const told = chart.series.length > 1 ? `${one.label} ${number(value)}` : number(value);
      if (least == null || most == null) return [told];
      return [least < value ? `${told} (${number(least)} – ${number(most)})` : `${told} (≤ ${number(most)})`];
    });
    return words.length ? `${instant(plot.data[0][place], data)}: ${words.join(", ")}` : "";
  }

  function showTip(plot, chart, data) {
    const tip = plot.pkTip;
    const at = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : NaN;
    const gap = chart.gaps.find(([from, to]) => from < at && at < to);
    tip.textContent = gap ? `${instant(gap[0], data)} – ${instant(gap[1], data)}: ${gap[2]}` : valuesAt(plot, chart, data);
    tip.hidden = !tip.textContent;
    if (tip.hidden) return;
    const left = plot.cursor.left + plot.bbox.left / devicePixelRatio;
    const isRight = left > plot.width / 2;
    tip.style.left = isRight ? "auto" : `${left + 10}px`;
    tip.style.right = isRight ? `${plot.width - left + 10}px` : "auto";
  }

  // To the reading before or after, of those in sight; the other charts' cursors follow.
  function step(plot, by) {
    const [first, last] = plot.series[0].idxs;
    const place = Math.min(last, Math.max(first, (plot.cursor.idx ?? last) + by));
    plot.setCursor({ left: plot.valToPos(plot.data[0][place], "x"), top: 10 }, true, true);
  }

  // Show `times` as much time around the cursor, in all charts as dragging does.
  function zoom(plots, plot, times, data) {
    const { min, max } = plot.scales.x;
    const middle = plot.data[0][plot.cursor.idx] ?? (min + max) / 2;
    const span = Math.min(data.to - data.from, Math.max(LEAST_S, (max - min) * times));
    const from = Math.min(Math.max(data.from, middle - span / 2), data.to - span);
    for (const one of plots) one.setScale("x", { min: from, max: from + span });
    step(plot, 0);
  }

  function fillHead(box, chart) {
    const [title, now] = box.querySelectorAll(".pk-charthead h3, .pk-charthead span");
    title.textContent = box.closest("[data-pk-untitled]") ? "" : chart.title;
    now.textContent = chart.series.length > 1 ? "" : chart.now;
    if (chart.series.length > 1) {
      for (const [place, one] of chart.series.entries()) {
        const key = document.createElement("span");
        key.className = "pk-key";
        const line = document.createElement("i");
        line.style.borderTopColor = `var(${toneOf(one, place)})`;
        if (dashOf(one, place).length) line.style.borderTopStyle = dashOf(one, place)[0] > 2 ? "dashed" : "dotted";
        const value = document.createElement("b");
        value.textContent = one.now;
        key.append(line, one.label, " ", value);
        title.append(key);
      }
    }
  }

  function draw(box, chart, data) {
    const room = box.querySelector(".pk-plot");
    box.pkPlot?.destroy();
    box.pkPlot = null;
    room.replaceChildren();
    box.querySelector(".pk-marks")?.remove();
    fillHead(box, chart);
    room.setAttribute("aria-label", chart.sentence);
    const isEmpty = !chart.series.some((one) => one.at.length);
    box.classList.toggle("pk-nothing", isEmpty);
    if (!room.clientWidth) return; // folded away: drawn when it opens
    if (isEmpty) {
      const none = document.createElement("p");
      none.className = "pk-quiet";
      none.textContent = chart.empty || data.words.none;
      room.append(none);
      return;
    }
    const start = box.querySelector(".pk-axisstart");
    if (start) start.textContent = chart.starts_at ? `${data.words.starts} ${write(chart.starts_at, chart.unit)}` : "";
    const plot = new uPlot(options(chart, data, room.clientWidth), merged(chart.series), room);
    plot.pkZone = zoneOf(data);
    plot.pkMarks = document.createElement("div");
    plot.pkMarks.className = "pk-marks";
    plot.pkMarks.ariaHidden = "true";
    room.after(plot.pkMarks);
    plot.pkTip = document.createElement("div");
    plot.pkTip.className = "pk-tip";
    plot.pkTip.hidden = true;
    room.append(plot.pkTip);
    plot.redraw();
    box.pkPlot = plot;
  }

  function withRange(address, range) {
    const url = new URL(address, location.href);
    url.searchParams.set("range", range);
    return url.href;
  }

  // --- One section of charts

  class Trends {
    constructor(section) {
      this.section = section;
      this.range = section.dataset.pkFirst ?? "24h";
      section.addEventListener("click", (event) => {
        const button = event.target.closest("[data-pk-range]");
        if (button) this.choose(button.dataset.pkRange);
      });
      section.addEventListener("keydown", (event) => {
        const plot = event.target.matches(".pk-plot") && event.target.closest(".pk-chart").pkPlot;
        const [by, times] = [{ ArrowLeft: -1, ArrowRight: 1 }[event.key], ZOOMS[event.key]];
        if (!plot || event.ctrlKey || event.metaKey || event.altKey || !(by || times)) return;
        event.preventDefault();
        if (by) step(plot, by);
        else zoom(this.plots(), plot, times, this.data);
      });
      section.querySelector(".pk-morecharts")?.addEventListener("toggle", () => this.redraw());
      new ResizeObserver(() => this.resize()).observe(section);
      new MutationObserver(() => this.redraw()).observe(document.documentElement, { attributeFilter: ["class"] });
      document.body.addEventListener("pk-checked", () => this.load());
    }

    choose(range) {
      this.range = range;
      for (const button of this.section.querySelectorAll("[data-pk-range]")) {
        button.setAttribute("aria-pressed", String(button.dataset.pkRange === range));
      }
      this.section.querySelector("[name=range]").value = range;
      for (const table of this.section.querySelectorAll(".pk-chart details")) table.open = false;
      for (const link of this.section.querySelectorAll("[data-pk-csv]")) link.href = withRange(link.href, range);
      this.load();
    }

    async load() {
      const asked = this.range;
      const address = withRange(this.section.dataset.pkTrends, asked);
      const answer = await fetch(address, { headers: { Accept: "application/json" } }).catch(() => null);
      if (asked !== this.range) return;
      if (!answer?.ok) {
        if (this.shown !== asked) this.fail();
        return;
      }
      this.data = await answer.json();
      this.shown = asked;
      this.redraw();
    }

    // Nothing came: say so, for an empty chart would say that nothing was read, and an old one is of another time.
    fail() {
      this.data = null;
      for (const box of this.section.querySelectorAll(".pk-chart:not([hidden])")) {
        box.pkPlot?.destroy();
        box.pkPlot = null;
        const line = document.createElement("p");
        line.className = "pk-quiet";
        line.textContent = this.section.dataset.pkFailed;
        box.querySelector(".pk-plot").replaceChildren(line);
      }
    }

    redraw() {
      if (!this.data) return;
      const charts = new Map(this.data.charts.map((chart) => [chart.name, chart]));
      for (const box of this.section.querySelectorAll("[data-pk-chart]")) {
        const chart = charts.get(box.dataset.pkChart);
        box.hidden = !chart;
        if (chart) draw(box, chart, this.data);
      }
      for (const line of this.section.querySelectorAll("[data-pk-none]")) {
        line.textContent = this.data.words[line.dataset.pkNone];
        line.hidden = !line.textContent || this.data.charts.some((chart) => chart.name.startsWith(line.dataset.pkPrefix));
      }
      this.list();
    }

    // The marks in words, with a link to each.
    list() {
      const list = this.section.querySelector(".pk-events");
      if (!list) return;
      list.replaceChildren(...this.data.events.map((event) => {
        const line = document.createElement("li");
        const time = document.createElement("time");
        time.dateTime = new Date(event.at * 1000).toISOString();
        time.textContent = instant(event.at, { time_zone: this.data.time_zone });
        const words = document.createElement(event.url ? "a" : "span");
        if (event.url) words.href = event.url;
        words.textContent = event.words;
        line.append(time, " ", words);
        return line;
      }));
      list.closest("details").hidden = !this.data.events.length;
    }

    plots() {
      return [...this.section.querySelectorAll(".pk-chart")].map((box) => box.pkPlot).filter(Boolean);
    }

    resize() {
      for (const box of this.section.querySelectorAll(".pk-chart")) {
        const width = box.querySelector(".pk-plot").clientWidth;
        if (box.pkPlot && width && box.pkPlot.width !== width) box.pkPlot.setSize({ width, height: HEIGHT });
      }
    }
  }

  function begin(section) {
    if (section.pkTrends) return;
    section.pkTrends = new Trends(section);
    const seen = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      seen.disconnect();
      section.pkTrends.load();
    }, { rootMargin: "200px" });
    seen.observe(section);
  }

  function beginAll() {
    for (const section of document.querySelectorAll("[data-pk-trends]")) begin(section);
  }

  document.addEventListener("DOMContentLoaded", beginAll);
  document.addEventListener("htmx:afterSettle", beginAll); // the overview is put in anew by its poll
})();
