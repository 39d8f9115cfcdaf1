/* Trends of one pair: uPlot charts from our JSON, redrawn when the theme changes. */
(() => {
  "use strict";

  const HEIGHT = 160;
  const FEW = 30; // so few readings make no line: show each
  const SYMBOLS = { critical: "octagon", warning: "triangle", info: "square", resolved: "dot" };
  const TONES = { critical: "--pk-bad", warning: "--pk-warn", info: "--pk-note", resolved: "--pk-good" };

  function token(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function font(weight = 400) {
    return `${weight} 12px Inter, system-ui, sans-serif`;
  }

  // --- What is drawn around the line

  function drawGaps(plot, chart, words) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const [from, to] of chart.gaps) {
      const left = Math.max(plot.valToPos(from, "x", true), bbox.left);
      const right = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width);
      if (right <= left) continue;
      ctx.fillStyle = token("--pk-line");
      ctx.globalAlpha = 0.6;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 1;
      if (right - left < 70 * devicePixelRatio) continue;
      ctx.fillStyle = token("--pk-quiet");
      ctx.font = scaled(font());
      ctx.textAlign = "center";
      ctx.textBaseline = "bottom";
      ctx.fillText(words.gap, (left + right) / 2, bbox.top + bbox.height - 3 * devicePixelRatio);
    }
    ctx.restore();
  }

  function scaled(text) {
    return text.replace("12px", `${12 * devicePixelRatio}px`);
  }

  function drawLimits(plot, chart) {
    const { ctx, bbox } = plot;
    const room = 15 * devicePixelRatio;
    let above = -Infinity;
    ctx.save();
    for (const limit of chart.limits.toSorted((one, two) => two.value - one.value)) {
      const y = plot.valToPos(limit.value, "y", true);
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.strokeStyle = ctx.fillStyle = token(TONES[limit.severity]);
      ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.font = scaled(font(600));
      ctx.textAlign = "left";
      // Two limits close together: the lower one is named below its line.
      const isBelow = y - above < room || y < room;
      ctx.textBaseline = isBelow ? "top" : "bottom";
      ctx.fillText(limit.label, bbox.left + 6 * devicePixelRatio, y + (isBelow ? 3 : -2) * devicePixelRatio);
      above = y;
    }
    ctx.restore();
  }

  function drawShape(ctx, shape, x, y, size) {
    ctx.beginPath();
    if (shape === "triangle") {
      ctx.moveTo(x, y - size); ctx.lineTo(x + size, y + size); ctx.lineTo(x - size, y + size);
    } else if (shape === "square") {
      ctx.rect(x - size, y - size, 2 * size, 2 * size);
    } else if (shape === "dot") {
      ctx.arc(x, y, size, 0, 2 * Math.PI);
    } else {
      for (let corner = 0; corner < 8; corner += 1) {
        const angle = Math.PI / 8 + (corner * Math.PI) / 4;
        ctx.lineTo(x + 1.15 * size * Math.cos(angle), y + 1.15 * size * Math.sin(angle));
      }
    }
    ctx.closePath();
    ctx.fill();
  }

  function drawMarks(plot, chart) {
    const { ctx, bbox } = plot;
    const bottom = bbox.top + bbox.height;
    ctx.save();
    for (const mark of chart.marks) {
      const x = plot.valToPos(mark.at, "x", true);
      ctx.strokeStyle = ctx.fillStyle = token(TONES[mark.tone]);
      ctx.lineWidth = devicePixelRatio;
      ctx.globalAlpha = 0.6;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bottom);
      ctx.stroke();
      ctx.globalAlpha = 1;
      drawShape(ctx, SYMBOLS[mark.tone], x, bottom, 4 * devicePixelRatio);
    }
    ctx.restore();
  }

  // --- The chart

  function merged(series) {
    if (series.length === 1) return [series[0].at, series[0].values];
    return uPlot.join(series.map((one) => [one.at, one.values]), series.map(() => [2, 2]));
  }

  function topOf(chart) {
    let top = 0;
    for (const one of chart.series) for (const value of one.values) if (value > top) top = value;
    // The first limit above the values is worth the room; a far one would flatten the line.
    const next = chart.limits.map((limit) => limit.value).find((value) => value >= top);
    const wanted = next !== undefined && next <= Math.max(top * 8, chart.unit === "%" ? 100 : 0)
      ? Math.max(top, next) : top;
    return chart.unit === "%" ? Math.max(100, wanted) : wanted * 1.15 || 1;
  }

  function write(value, unit) {
    if (unit === "%") return `${value}%`;
    return `${value.toLocaleString("en")}\u202f${unit}`;
  }

  function options(chart, data, width) {
    const axis = {
      stroke: () => token("--pk-quiet"),
      font: font(),
      grid: { stroke: () => token("--pk-line"), width: 1 },
      ticks: { show: false },
    };
    return {
      width,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), data.time_zone),
      cursor: { sync: { key: "pk-trends" }, points: { size: 7 }, drag: { x: false, y: false } },
      legend: { show: false },
      padding: [10, 12, 0, 0],
      scales: { x: { time: true, range: [data.from, data.to] }, y: { range: [0, topOf(chart)] } },
      axes: [
        { ...axis, grid: { show: false }, size: 26, gap: 4, space: 90, values: timesIn },
        { ...axis, size: 58, space: 34, values: (_plot, ticks) => ticks.map((tick) => write(tick, chart.unit)) },
      ],
      series: [{}, ...chart.series.map((one, place) => ({
        label: one.label,
        stroke: () => token(place ? "--pk-quiet" : "--pk-link"),
        width: 1.5,
        dash: place ? [4, 3] : undefined,
        points: { show: one.at.length < FEW, size: 5, fill: () => token(place ? "--pk-quiet" : "--pk-link") },
        spanGaps: false,
      }))],
      hooks: {
        drawClear: [(plot) => drawGaps(plot, chart, data.words)],
        draw: [(plot) => { drawLimits(plot, chart); drawMarks(plot, chart); }],
        setCursor: [(plot) => showTip(plot, chart, data)],
      },
    };
  }

  function timesIn(plot, ticks) {
    const isLong = plot.scales.x.max - plot.scales.x.min > 30 * 3600;
    const form = isLong
      ? { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }
      : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    return ticks.map((tick) => new Intl.DateTimeFormat("en-GB", { ...form, timeZone: plot.pkZone }).format(tick * 1000));
  }

  function showTip(plot, chart, data) {
    const tip = plot.pkTip;
    const place = plot.cursor.idx;
    const values = place == null ? [] : chart.series
      .map((one, line) => [one.label, plot.data[line + 1][place]])
      .filter(([, value]) => value != null);
    tip.hidden = values.length === 0;
    if (tip.hidden) return;
    const at = new Intl.DateTimeFormat("en-GB", {
      day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: data.time_zone,
    }).format(plot.data[0][place] * 1000);
    const words = values.map(([label, value]) => {
      const number = write(Math.round(value * 100) / 100, chart.unit);
      return values.length > 1 ? `${label} ${number}` : number;
    });
    tip.textContent = `${at}: ${words.join(", ")}`;
    const left = plot.cursor.left + plot.bbox.left / devicePixelRatio;
    const isRight = left > plot.width / 2;
    tip.style.left = isRight ? "auto" : `${left + 10}px`;
    tip.style.right = isRight ? `${plot.width - left + 10}px` : "auto";
  }

  function step(plot, by) {
    const last = plot.data[0].length - 1;
    const place = Math.min(last, Math.max(0, (plot.cursor.idx ?? last) + by));
    plot.setCursor({ left: plot.valToPos(plot.data[0][place], "x"), top: 10 });
  }

  function fillHead(box, chart) {
    const [title, now] = box.querySelectorAll(".pk-charthead h3, .pk-charthead span");
    title.textContent = chart.title;
    now.textContent = chart.now;
    if (chart.series.length > 1) {
      for (const [place, one] of chart.series.entries()) {
        const key = document.createElement("span");
        key.className = "pk-key";
        const line = document.createElement("i");
        if (place) line.className = "pk-dashed";
        key.append(line, one.label);
        title.append(key);
      }
    }
  }

  function draw(box, chart, data) {
    const room = box.querySelector(".pk-plot");
    box.pkPlot?.destroy();
    box.pkPlot = null;
    room.replaceChildren();
    fillHead(box, chart);
    room.setAttribute("aria-label", chart.sentence);
    if (!chart.series.some((one) => one.at.length)) {
      const none = document.createElement("p");
      none.className = "pk-quiet";
      none.textContent = data.words.none;
      room.append(none);
      return;
    }
    const plot = new uPlot(options(chart, data, room.clientWidth), merged(chart.series), room);
    plot.pkZone = data.time_zone;
    plot.pkTip = document.createElement("div");
    plot.pkTip.className = "pk-tip";
    plot.pkTip.hidden = true;
    room.append(plot.pkTip);
    plot.redraw();
    box.pkPlot = plot;
  }

  // --- One section of charts

  class Trends {
    constructor(section) {
      this.section = section;
      this.range = "24h";
      section.addEventListener("click", (event) => {
        const button = event.target.closest("[data-pk-range]");
        if (button) this.choose(button.dataset.pkRange);
      });
      section.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        const plot = event.target.closest(".pk-chart")?.pkPlot;
        if (by && plot && event.target.matches(".pk-plot")) {
          event.preventDefault();
          step(plot, by);
        }
      });
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
      for (const table of this.section.querySelectorAll("details")) table.open = false;
      this.load();
    }

    async load() {
      const asked = this.range;
      const answer = await fetch(`${this.section.dataset.pkTrends}?range=${asked}`, { headers: { Accept: "application/json" } });
      if (!answer.ok || asked !== this.range) return;
      this.data = await answer.json();
      this.redraw();
    }

    redraw() {
      if (!this.data) return;
      for (const chart of this.data.charts) {
        draw(this.section.querySelector(`[data-pk-chart="${chart.name}"]`), chart, this.data);
      }
    }

    resize() {
      for (const box of this.section.querySelectorAll(".pk-chart")) {
        const width = box.querySelector(".pk-plot").clientWidth;
        if (box.pkPlot && width && box.pkPlot.width !== width) box.pkPlot.setSize({ width, height: HEIGHT });
      }
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const section of document.querySelectorAll("[data-pk-trends]")) {
      const trends = new Trends(section);
      const seen = new IntersectionObserver(([entry]) => {
        if (!entry.isIntersecting) return;
        seen.disconnect();
        trends.load();
      }, { rootMargin: "200px" });
      seen.observe(section);
    }
  });
})();
