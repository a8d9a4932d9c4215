/** Horizontal bars as SVG, without a library: readable on a light and on a dark page, by the reader's setting. */

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Bars of one series have one colour. */
  readonly series: Series;
}

export type Series = "own" | "native" | "other";

/** Bars that share a scale, which begins at 0. */
export interface BarPanel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 760;
const LABEL_WIDTH = 250;
const VALUE_WIDTH = 80;
const BAR_HEIGHT = 18;
const BAR_STEP = 24;
const PANEL_HEAD = 36;
const MARGIN = 16;
const TITLE_HEIGHT = 28;
const FOOT_HEIGHT = 24;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .panel { font-weight: 600; }
  .foot { font-size: 11px; fill: #59636e; }
  .own { fill: #0969da; } .native { fill: #818b98; } .other { fill: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .foot { fill: #9198a1; }
    .own { fill: #4493f8; } .native { fill: #656c76; } .other { fill: #db6d28; }
  }`;

export function barChart(title: string, panels: readonly BarPanel[], foot: string): string {
  const parts = [`<text class="title" x="${MARGIN}" y="${MARGIN + 10}">${escaped(title)}</text>`];
  let top = MARGIN + TITLE_HEIGHT;
  for (const panel of panels) {
    parts.push(drawPanel(panel, top));
    top += PANEL_HEAD + panel.bars.length * BAR_STEP;
  }
  const height = top + FOOT_HEIGHT;
  parts.push(`<text class="foot" x="${MARGIN}" y="${height - 8}">${escaped(foot)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" ` +
    `height="${height}" role="img" aria-label="${escaped(title)}">\n<style>${STYLE}\n</style>\n` +
    parts.join("\n") + "\n</svg>\n";
}

function drawPanel(panel: BarPanel, top: number): string {
  const longest = Math.max(1, ...panel.bars.map(({ value }) => value));
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH - MARGIN;
  const bars = panel.bars.map((bar, at) => {
    const y = top + PANEL_HEAD - 8 + at * BAR_STEP;
    const width = Math.max(1, Math.round(bar.value / longest * room));
    const value = Math.round(bar.value).toLocaleString("en");
    return `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escaped(bar.label)}</text>` +
      `<rect class="${bar.series}" x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" rx="2"/>` +
      `<text x="${LABEL_WIDTH + width + 6}" y="${y + 13}">${value}</text>`;
  });
  return [`<text class="panel" x="${MARGIN}" y="${top + 14}">${escaped(panel.title)}</text>`, ...bars].join(
    "\n",
  );
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
    '"',
    "&quot;",
  );
}
