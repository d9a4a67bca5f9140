#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws run.png and run.svg from run.json.

usage: plot.py RESULTS_DIR
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

COLOURS = {"off": "#7fb3d5", "strict": "#1f4e79"}
LABELS = {"off": "IOMMU off", "strict": "IOMMU strict"}


def main():
    out = Path(sys.argv[1])
    rows = json.loads((out / "run.json").read_text())
    for r in rows:
        r["name"] = f"{r['driver']}, {r['xdp']} XDP\n{r['buffers']}"
        if r["memory_mb"] != rows[0]["memory_mb"]:
            r["name"] += f", {r['memory_mb'] // 1024} GB of memory"
    variants = list(dict.fromkeys(r["variant"] for r in rows))
    names = list(dict.fromkeys(r["name"] for r in sorted(rows, key=lambda r: variants.index(r["variant"]))))
    panels = (
        ("instructions_per_packet", "guest instructions per received packet", "{:.0f}"),
        ("mappings_per_packet", "DMA mappings per packet", "{:.3g}"),
    )

    plt.rcParams["svg.hashsalt"] = "run"  # the same file from the same numbers
    fig, axes = plt.subplots(1, 2, figsize=(11, 5.2), sharey=True, width_ratios=(3, 1.3), layout="constrained")
    for ax, (key, title, form) in zip(axes, panels):
        for i, iommu in enumerate(LABELS):
            values = {r["name"]: r[key] for r in rows if r["iommu"] == iommu}
            bars = ax.barh(
                [n + (i - 0.5) * 0.38 for n in range(len(names))],
                [values.get(name, 0) for name in names],
                height=0.36, color=COLOURS[iommu], label=LABELS[iommu],
            )
            ax.bar_label(bars, [form.format(values[name]) if name in values else "" for name in names], padding=3, fontsize=9)
        ax.set_title(title, fontsize=10)
        ax.margins(x=0.18)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    axes[0].invert_yaxis()
    axes[0].legend(frameon=False, fontsize=9)
    fig.suptitle(f"Receiving {rows[0]['frame_bytes']}-byte frames into XDP_DROP (the sender's instructions are subtracted)", fontsize=11)
    fig.savefig(out / "run.png", dpi=150)
    fig.savefig(out / "run.svg", metadata={"Date": None})


main()
