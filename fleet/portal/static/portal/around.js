/* What charts draw around their lines (gaps, limits, marks), and the tone and dash of each: for trends.js. */
window.pkAround = (() => {
  "use strict";

  const SYMBOLS = { critical: "octagon", warning: "triangle", info: "square", resolved: "dot" };
  const TONES = { critical: "--pk-bad", warning: "--pk-warn", unknown: "--pk-doubt", info: "--pk-note", resolved: "--pk-good" };
  const DASHES = { critical: [], warning: [8, 3], unknown: [2, 3], info: [4, 3] };
  const PLACES = [[], [4, 3], [8, 3], [2, 3]]; // of lines without a tone, each its own

  // A line of a severity has its tone, and a dash of its own; of others the first is solid petrol.
  function toneOf(one, place) {
    return TONES[one.tone] ?? (place ? "--pk-quiet" : "--pk-link");
  }

  function dashOf(one, place) {
    return DASHES[one.tone] ?? PLACES[place % PLACES.length];
  }

  function token(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function font(weight = 400) {
    return `${weight} 12px Inter, system-ui, sans-serif`;
  }

  function drawGaps(plot, chart) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const [from, to, words] of chart.gaps) {
      const left = Math.max(plot.valToPos(from, "x", true), bbox.left);
      const right = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width);
      if (right <= left) continue;
      ctx.fillStyle = token("--pk-line");
      ctx.globalAlpha = 0.6;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillStyle = token("--pk-quiet");
      ctx.font = scaled(font());
      if (right - left < ctx.measureText(words).width + 8 * devicePixelRatio) continue;
      ctx.textAlign = "center";
      ctx.textBaseline = "bottom";
      ctx.fillText(words, (left + right) / 2, bbox.top + bbox.height - 3 * devicePixelRatio);
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
      const place = [limit.label, bbox.left + 6 * devicePixelRatio, y + (isBelow ? 3 : -2) * devicePixelRatio];
      const [high, wide] = [room - 2 * devicePixelRatio, ctx.measureText(limit.label).width];
      ctx.fillStyle = token("--pk-surface"); // readable where the line or its band passes behind
      ctx.fillRect(place[1] - 2, isBelow ? place[2] : place[2] - high, wide + 4, high);
      ctx.fillStyle = ctx.strokeStyle;
      ctx.fillText(...place);
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
    ctx.setLineDash([]); // the last line may have left its own
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

  // Where a mark stands on the axis, a link to what it tells of. For the mouse: the list beneath has all for keys.
  function linkMarks(plot, chart) {
    plot.pkMarks.replaceChildren(...chart.marks.filter((mark) => mark.url).map((mark) => {
      const link = document.createElement("a");
      const left = plot.valToPos(mark.at, "x");
      link.href = mark.url;
      link.title = mark.words;
      link.tabIndex = -1;
      link.hidden = left < 0 || left > plot.bbox.width / devicePixelRatio;
      link.style.left = `${left + plot.bbox.left / devicePixelRatio - 8}px`;
      return link;
    }));
  }

  return { toneOf, dashOf, token, font, drawGaps, drawLimits, drawMarks, linkMarks };
})();
