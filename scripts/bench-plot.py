#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws bench.png and bench.svg from bench.json: pages by order, the pools, and several CPUs.

usage: bench-plot.py RESULTS_DIR

What bench.json does not have (make bench CASE=...) is left out.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

OURS, POOL, ALLOCATOR = "#1f4e79", "#7fb3d5", "#b0b0b0"


def short(value):
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


class Rows:
    def __init__(self, rows):
        self.rows = rows

    def __call__(self, lane, case, side, peer=None, iommu=None):
        for row in self.rows:
            if (row["lane"], row["case"]) == (lane, case) and peer in (None, row["peer_name"]):
                if iommu in (None, row["iommu"]) and row[side] is not None:
                    return row[side]
        return None


def by_order(ax, get):
    """The talk's chart: what a page costs, by the order that it was allocated with."""
    orders = [n for n in range(6) if get("instructions", f"order_{n}", "peer") is not None]
    if not orders:
        return False
    ax.plot(orders, [get("instructions", f"order_{n}", "peer") for n in orders], "o-", color=ALLOCATOR, label="page allocator, a block")
    ax.plot(orders, [get("instructions", f"order_{n}_per_4k", "peer") for n in orders], "o--", color=ALLOCATOR, label="the same for each 4 KiB")
    for side, colour, name in (("peer", POOL, "C page_pool, direct"), ("ours", OURS, "our pool, direct")):
        value = get("instructions", "direct", side, "page_pool")
        if value is not None:
            ax.axhline(value, color=colour, linewidth=2, label=name)
    ax.set_yscale("log")
    ax.set_xlabel("order")
    ax.set_title("instructions to allocate and free")
    return True


def pools(ax, get, lane, title):
    cases = [c for c in ("direct", "ring", "bulk_64", "miss") if get(lane, c, "ours", "page_pool") is not None]
    if not cases:
        return False
    for i, (label, colour, side) in enumerate((("our pool", OURS, "ours"), ("C page_pool", POOL, "peer"))):
        bars = ax.bar(
            [x + (i - 0.5) * 0.4 for x in range(len(cases))],
            [get(lane, c, side, "page_pool") for c in cases], width=0.38, color=colour, label=label,
        )
        ax.bar_label(bars, fmt=short, fontsize=8, padding=2)
    ax.set_yscale("log")
    ax.margins(y=0.15)
    ax.set_xticks(range(len(cases)), cases)
    ax.set_title(title)
    return True


def scaling(ax, get):
    cpus = [n for n in (1, 2, 4, 8, 16, 32, 64) if get("time", f"return_cpus_{n}", "ours", "page_pool") is not None]
    if not cpus:
        return False
    for side, colour, label in (("peer", POOL, "one locked ring (C page_pool)"), ("ours", OURS, "a ring for each CPU (ours)")):
        values = [get("time", f"return_cpus_{n}", side, "page_pool") for n in cpus]
        ax.plot(cpus, values, "o-", color=colour, label=label)
        for x, y in zip(cpus, values):
            ax.annotate(short(y), (x, y), textcoords="offset points", xytext=(0, 6), fontsize=8, ha="center")
    ax.set_yscale("log")
    ax.margins(x=0.15, y=0.2)
    ax.set_xticks(cpus)
    ax.set_xlabel("CPUs that return pages")
    ax.set_title("ns for each returned page")
    return True


def main():
    out = Path(sys.argv[1])
    get = Rows(json.loads((out / "bench.json").read_text()))
    panels = (
        by_order,
        lambda ax, get: pools(ax, get, "instructions", "instructions for a page"),
        lambda ax, get: pools(ax, get, "time", "ns for a page (User-Mode Linux)"),
        scaling,
    )
    plt.rcParams["svg.hashsalt"] = "bench"  # the same file from the same numbers
    fig, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    for ax, panel in zip(axes.flat, panels):
        if not panel(ax, get):
            ax.set_visible(False)
            continue
        ax.title.set_fontsize(10)
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(out / "bench.png", dpi=150)
    fig.savefig(out / "bench.svg", metadata={"Date": None})


main()
