"""The contrast of every text that is shown, against the first opaque ground behind it (WCAG 2.2, 1.4.3), as a script."""

from __future__ import annotations

CONTRAST = r"""
(() => {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const channel = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const [red, green, blue, alpha = 1] = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [red, green, blue];
    }
    return [255, 255, 255];
  };
  const top = [...document.querySelectorAll('dialog[open]')].pop() ?? document.body;
  const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT), found = [];
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement, box = node.getBoundingClientRect();
    if (!text.data.trim() || !box.width || !box.height || node.closest('.unseen, .skip, noscript, [aria-hidden], script, datalist, select')) continue;
    const style = getComputedStyle(node), [one, other] = [luminance(parse(style.color)), luminance(ground(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) found.push(`${text.data.trim().slice(0, 30)}: ${ratio.toFixed(2)} ${style.color}`);
  }
  return [...new Set(found)];
})()
"""
