"""A script for the contrast of every visible text (WCAG 2.2, 1.4.3).

It compares the text with the first opaque background behind it.
"""

from __future__ import annotations

CONTRAST = r"""
(() => {
  const parse = (text) => text.match(/[\d.]+/g).map(Number);
  const channel = (value) =>
    (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([red, green, blue]) =>
    0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const [red, green, blue, alpha = 1] = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [red, green, blue];
    }
    return [255, 255, 255];
  };
  const hidden = '.unseen, .skip, noscript, [aria-hidden], script, datalist, select';
  const top = [...document.querySelectorAll('dialog[open]')].pop() ?? document.body;
  const walker = document.createTreeWalker(top, NodeFilter.SHOW_TEXT), found = [];
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement, box = node.getBoundingClientRect();
    if (!text.data.trim() || !box.width || !box.height || node.closest(hidden)) continue;
    const style = getComputedStyle(node), size = parseFloat(style.fontSize);
    const [one, other] = [luminance(parse(style.color)), luminance(ground(node))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (isLarge ? 3 : 4.5))
      found.push(`${text.data.trim().slice(0, 30)}: ${ratio.toFixed(2)} ${style.color}`);
  }
  return [...new Set(found)];
})()
"""
