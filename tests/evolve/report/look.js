// What is wrong with the page as it stands in the window: a list of complaints.
(() => {
  const found = [], root = document.documentElement;
  if (root.scrollWidth > innerWidth) found.push(`is ${root.scrollWidth} wide in a window of ${innerWidth}`);
  for (const e of document.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect();
    if (box.right > innerWidth + 1 && !e.closest("pre, .scroll, .formula, svg, .skip"))
      found.push(`${e.tagName} ${e.className} reaches to ${box.right}`);
  }
  const numbers = c => (c.match(/[\d.]+/g) || []).map(Number);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => {
    const [r, g, b] = c.map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor, n = numbers(color);
      if (color.startsWith("rgb") && (n.length < 4 || n[3] === 1)) return n.slice(0, 3);
    }
    return [255, 255, 255];
  };
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || !e.getClientRects().length || e.closest("style")) continue;
    const style = getComputedStyle(e), svg = e.closest("svg");
    const ink = numbers(svg ? style.fill : style.color).slice(0, 3), paper = ground(svg ? svg.parentElement : e);
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x), contrast = (a + 0.05) / (b + 0.05);
    const said = node.data.trim().slice(0, 30);
    texts++;
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)} of "${said}" in ${e.tagName}`);
    const size = parseFloat(style.fontSize) * (svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1);
    if (size < (innerWidth < 350 ? 7 : 8.5)) found.push(`"${said}" is ${size.toFixed(1)} px high`);
  }
  if (texts < 20) found.push(`shows ${texts} texts`);
  for (const e of document.querySelectorAll("pre, .scroll, .formula"))
    if ((e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) && e.tabIndex < 0)
      found.push(`${e.tagName} scrolls by mouse alone`);
  for (const e of document.querySelectorAll("main svg, section svg"))
    if (!e.matches("[aria-hidden=true], [role=img][aria-label]")) found.push("a drawing has no words");
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map(e => +e.tagName[1]);
  levels.forEach((level, n) => {
    if (n && level > levels[n - 1] + 1) found.push(`h${level} follows h${levels[n - 1]}`);
  });
  if (document.scripts.length) found.push("has scripts");
  for (const math of document.querySelectorAll("math"))
    if (math.getBoundingClientRect().height < 10) found.push("a formula is not set");
  return found;
})()
