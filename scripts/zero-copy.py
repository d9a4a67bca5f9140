#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes zero-copy.json, a table and a plot from what samples/zero_copy/measure.sh wrote, and checks it.

usage: zero-copy.py RESULTS_DIR

Reads RESULTS_DIR/*/runs.txt. Exit code 1 if what is mapped costs more than it may, or does not come home.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)

from runs import aligned, check, failures, read_runs  # noqa: E402

IOMMUS = ("off", "strict")
OURS, THEIRS = "rust", "kernel"
POOLS = {OURS: "this pool", THEIRS: "kernel's pool"}
WAYS = {"mmap": "mapped", "recv": "recv()", "recv-words": "recv(), 8 bytes at a time"}
COLOURS = {"napi": "#7fb3d5", "thread": "#1f4e79"}
# With the strict IOMMU: of recv() with the same pool, and of the kernel's pool.
RECV_MAX, KERNEL_MAX = 0.5, 0.6
MAPPED_MIN, LOST_MAX = 95, 1  # per cent
PAGES = 256  # in a megabyte
HEAD = ("IOMMU", "pool", "way", "NAPI", "program", "both", "of recv()", "mapped", "not home")
NOTE = """\
Guest instructions a megabyte, in thousands (QEMU -icount shift=0), of the receiving side alone: the card's NAPI thread, and
the thread of the program, upstream's tcp_mmap, which does not look at the data. {mb} MB by one flow of segments of 4,096
bytes. mapped, not home: per cent of the pages. A copy is "rep movsb" on this CPU, of which each byte is an instruction here;
the last line is the same on a CPU without it (clearcpuid=erms,fsrm), where eight bytes are.
kernel {kernel}, booted with: init_on_alloc=0 mitigations=off"""


def rows(out):
    for path in out.glob("*/runs.txt"):
        r = read_runs(path)[0]
        napi, thread = r["napi_ns"] / 1000 / r["mb"], float(r["thread_us_per_mb"])
        yield {
            "iommu": r["iommu"], "pool": r["buffers"], "way": r["way"],
            "napi": round(napi, 1), "thread": round(thread, 1), "both": round(napi + thread, 1),
            "mapped_percent": round(float(r["mapped_percent"]), 2),
            "lost_percent": round(100 * r["lost"] / (PAGES * r["mb"]), 2),
            "mb": r["mb"], "kernel": r["kernel"],
        }


def by_run(data):
    runs = {(r["iommu"], r["pool"], r["way"]): r for r in data}
    for (iommu, pool, _), r in runs.items():
        r["of_recv"] = round(r["both"] / runs[iommu, pool, "recv"]["both"], 3)
    return runs


def check_all(runs):
    for iommu in IOMMUS:
        r = runs[iommu, OURS, "mmap"]
        check(r["mapped_percent"] >= MAPPED_MIN, f"IOMMU {iommu}: {r['mapped_percent']} % mapped, less than {MAPPED_MIN}")
        check(r["lost_percent"] <= LOST_MAX, f"IOMMU {iommu}: {r['lost_percent']} % did not come home, more than {LOST_MAX}")
    ours, theirs = (runs["strict", pool, "mmap"] for pool in (OURS, THEIRS))
    check(ours["of_recv"] <= RECV_MAX, f"strict: mapped takes {ours['of_recv']} of recv(), more than {RECV_MAX}")
    ratio = ours["both"] / theirs["both"]
    check(ratio <= KERNEL_MAX, f"strict: mapped takes {ratio:.3f} of what it does with the kernel's pool, more than {KERNEL_MAX}")


def table(data):
    lines = [HEAD]
    for r in data:
        lines.append((
            r["iommu"], POOLS[r["pool"]], WAYS[r["way"]], f"{r['napi']:.0f}", f"{r['thread']:.0f}", f"{r['both']:.0f}",
            f"{r['of_recv']:.2f}", f"{r['mapped_percent']:.0f}", f"{r['lost_percent']:.1f}",
        ))
    return aligned(lines, left=(0, 1, 2))


def plot(data, out):
    plt.rcParams["svg.hashsalt"] = "zero-copy"  # the same file from the same numbers
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.2), layout="constrained", sharex=True, sharey=True)
    for ax, iommu in zip(axes, IOMMUS):
        these = [r for r in data if r["iommu"] == iommu]
        names = [f"{POOLS[r['pool']]}, {WAYS[r['way']]}" for r in these]
        left = [0] * len(these)
        for part, label in (("napi", "NAPI"), ("thread", "program")):
            bars = ax.barh(names, [r[part] for r in these], left=left, color=COLOURS[part], label=label, height=0.7)
            left = [a + r[part] for a, r in zip(left, these)]
        ax.bar_label(bars, [f"{v:.0f}" for v in left], padding=3, fontsize=9)
        ax.margins(x=0.12)
        ax.tick_params(axis="y", labelsize=9)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_title(f"1,000 instructions a megabyte, IOMMU {iommu}", fontsize=10, loc="left")
    axes[0].invert_yaxis()
    axes[1].legend(frameon=False, fontsize=9, loc="center right")
    fig.savefig(out / "zero-copy.png", dpi=150)
    fig.savefig(out / "zero-copy.svg", metadata={"Date": None})


def main():
    out = Path(sys.argv[1])
    order = [(iommu, pool, way) for iommu in IOMMUS for pool in POOLS for way in WAYS]
    data = sorted(rows(out), key=lambda r: order.index((r["iommu"], r["pool"], r["way"])))
    check_all(by_run(data))
    (out / "zero-copy.json").write_text(json.dumps(data, indent=1) + "\n")
    plot(data, out)
    text = "\n".join([*table(data), "", NOTE.format(mb=data[0]["mb"], kernel=data[0]["kernel"])])
    print(text)
    (out / "zero-copy.txt").write_text(text + "\n")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(bool(failures))


main()
