#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes tcp.json, a table and a plot from what samples/tcp/tcp.sh wrote.

usage: tcp.py RESULTS_DIR

Reads RESULTS_DIR/{off,strict}/runs.txt.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

from runs import aligned, read_runs  # noqa: E402

IOMMUS = ("off", "strict")
COLOURS = {"off": "#7fb3d5", "strict": "#1f4e79"}
OURS, THEIRS = "igb_rust", "igb"
HEAD = ("direction", "MTU", "flows", "IOMMU", OURS, f"C {THEIRS}", "ratio")
NOTE = """\
Guest instructions a megabyte, in thousands (QEMU -icount shift=0), of all that the one CPU does: both ends of TCP, the
programs, and a C e1000e at the other end. They are known to 10 ms, {grain:.1f} % of a run of {mb} MB.
kernel {kernel}, booted with: init_on_alloc=0 mitigations=off"""


def rows(out):
    for iommu in IOMMUS:
        boot, *runs = read_runs(out / iommu / "runs.txt")
        cost = {}
        for r in runs:
            if r["kind"] == "run":
                cost.setdefault((r["direction"], r["mtu"], r["flows"]), {})[r["driver"]] = r["us"] / boot["mb"]
        for (direction, mtu, flows), of in cost.items():
            yield {
                "direction": direction, "mtu": mtu, "flows": flows, "iommu": iommu,
                "ours": round(of[OURS], 1), "theirs": round(of[THEIRS], 1), "ratio": round(of[OURS] / of[THEIRS], 3),
                "mb": boot["mb"], "kernel": boot["kernel"],
            }


def table(data):
    lines = [HEAD]
    for r in data:
        lines.append((
            r["direction"], str(r["mtu"]), str(r["flows"]), r["iommu"],
            f"{r['ours']:.0f}", f"{r['theirs']:.0f}", f"{r['ratio']:.3f}",
        ))
    return aligned(lines, left=(0, 3))


def plot(data, out):
    plt.rcParams["svg.hashsalt"] = "tcp"  # the same file from the same numbers
    names = list(dict.fromkeys(f"{r['direction']}, MTU {r['mtu']}, flows: {r['flows']}" for r in data))
    fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
    for i, iommu in enumerate(IOMMUS):
        values = [r["ratio"] for r in data if r["iommu"] == iommu]
        bars = ax.barh([n + (i - 0.5) * 0.38 for n in range(len(names))], values, height=0.36, color=COLOURS[iommu], label=f"IOMMU {iommu}")
        ax.bar_label(bars, [f"{v:.2f}" for v in values], padding=3, fontsize=9)
    ax.axvline(1, color="black", linewidth=0.8)
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1))
    ax.set_title("Instructions a megabyte of TCP, igb_rust / C igb", fontsize=10, loc="left")
    fig.savefig(out / "tcp.png", dpi=150)
    fig.savefig(out / "tcp.svg", metadata={"Date": None})


def main():
    out = Path(sys.argv[1])
    data = sorted(rows(out), key=lambda r: (r["direction"], r["mtu"], r["flows"], r["iommu"]))
    (out / "tcp.json").write_text(json.dumps(data, indent=1) + "\n")
    plot(data, out)
    grain = 1e6 / min(r["ours"] * r["mb"] for r in data)
    text = "\n".join([*table(data), "", NOTE.format(grain=grain, mb=data[0]["mb"], kernel=data[0]["kernel"])])
    print(text)
    (out / "tcp.txt").write_text(text + "\n")


main()
