"""A leaderboard with everything a page can show, and plain functions that do on it what a person does."""

from __future__ import annotations

import json
from dataclasses import replace

from fake_rows import row

from framework.leaderboard.comparison import Comparison
from framework.leaderboard.rows import CONTROL

DESK, PHONE = (1280, 900), (390, 844)
CONTRAST = """
(selector, ground) => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [text] = [...document.querySelectorAll(selector)].map((e) => getComputedStyle(e).color);
  const behind = getComputedStyle(document.querySelector(ground)).backgroundColor;
  const [high, low] = [light(text), light(behind)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}"""  # WCAG 2.2, of a text on a ground


class Visit:
    """One browser, driven from plain functions."""

    def __init__(self, runner, shown):
        self.runner, self.shown = runner, shown

    def __call__(self, script):
        return self.runner.run(self.shown.run(script))

    def open(self, path, address="", size=DESK):
        self.shown.addresses.clear()
        self.runner.run(self._open(f"{path.as_uri()}{address}", size))

    async def _open(self, address, size):
        await self.shown.size(*size)
        await self.shown.call("Page.navigate", url="about:blank")
        await self.shown.until("location.href == 'about:blank'")
        await self.shown.call("Page.navigate", url=address)
        await self.shown.until("document.documentElement?.dataset.whole")

    def texts(self, selector):
        return self(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.textContent.trim())")

    def click(self, selector, number=0):
        self(f"document.querySelectorAll({json.dumps(selector)})[{number}].click()")

    def choose(self, selector, value):
        event = "new Event('input', {bubbles: true})"
        at = f"document.querySelector({json.dumps(selector)})"
        self(f"{at}.value = {json.dumps(value)}; {at}.dispatchEvent({event})")

    def press(self, key):
        self.runner.run(self.shown.press(*key))

    def until(self, script):
        self.runner.run(self.shown.until(script))


def rows():
    """Three methods on two sets of two domains, with categories, a control, and a second metric of elements."""
    found = []
    values = {"parts": (0.9375, 0.5), "scans": (0.75, 0.875), "nothing": (0.625, 0.75)}
    for trained, value in values.items():
        for tested, domain, whole in zip(("parts", "scans"), ("industrial", "medical"), value, strict=True):
            seen = {"in_domain": True, "overlap": 3, "near": 2, "known": "A in B"} if trained == tested else {}
            common = {"run": f"run-{trained}", "trained_on": trained, "tested_on": tested, "domain": domain}
            common |= {"recipe": "mvfa" if trained == "scans" else "", "transductive": trained == "nothing"}
            for category, off in (("all", 0.0), ("bolt", -0.25), ("nut", 0.0625)):
                number = {"value": whole + off, "low": whole + off - 0.125, "high": whole + off}
                found.append(row(**common, **seen, category=category, **number))
            pixels = {"level": "element", "element": "pixel", "metric": "aupro", "elements": 4096}
            low = {"value": whole / 2, "low": whole / 2 - 0.125, "high": whole / 2, "anomalous_elements": 12}
            found.append(row(**common, **seen, **pixels, **low, error=0.00004, chance=0.15))
    cue = {"run": "run-parts", "model": CONTROL + "file size", "trained_on": "parts", "low": None, "high": None}
    return [*found, row(**cue, category="bolt", value=0.6875), row(**cue, value=0.5)]


def verdicts():
    """What the paired test found."""
    told = {"level": "sample", "metric": "auroc", "samples": 20, "how": "paired bootstrap, Holm"}
    first = Comparison(
        *("parts", "scans", "parts"), **told, **_difference(0.1875, 0.0625, 0.25), adjusted=0.0004, verdict="better"
    )
    second = Comparison(
        *("parts", "scans", "scans"), **told, **_difference(-0.375, -0.5, 0.125), adjusted=0.25, verdict="cannot tell"
    )
    mean = replace(first, tested="mean of 2 sets", difference=-0.09375, verdict="cannot tell", how="of means")
    third = replace(first, b="nothing", samples=0, how="not compared: other samples were scored", verdict="cannot tell")
    return [first, second, mean, third]


def _difference(difference, low, high):
    return {"difference": difference, "low": low, "high": high, "p": 0.0001}
