#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes pin-down.json, a table and a plot from what tests/vm/pin-down.sh wrote, and checks it.

usage: pin-down.py RESULTS_DIR

Reads RESULTS_DIR/vm/runs.txt. Exit code 1 if the pool lets itself be pinned down: it had more
pages than it may, the flow that behaves starved, or memory was not back in time.

What is pinned: free memory before the attack minus free memory while the socket has its packets
and nobody sends, with page cache and reclaimable slabs dropped before both. Pages that are idle
in our pool count as free: else it would look better than it is when the hoarder gets pages that
the pool had already.
"""

import json
import os
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)
from runs import aligned, check, failures, read_runs  # noqa: E402

OURS = ("e1000_rust", "igb_rust", "igb_rust_own")
NAMES = {"igb_rust_own": "igb_rust, own queue"}
# Of what the flow gets without the attack, with our pool; rounds differ by 0.1. With queues, and so pools, apart the flows
# have the CPU in common and nothing else.
GOODPUT_MIN = {"igb_rust_own": 0.95}
GOODPUT_MIN_SHARED = 0.8
BACK_MAX = 1000 * int(os.environ.get("RPP_SLOW", "1"))  # ms
COPYBREAK = 256  # smaller packets are always copied
COLOURS = {
    "e1000_rust": "#1f4e79", "virtio_net": "#7fb3d5", "e1000": "#b0b0b0", "igb_rust": "#2e7d4f", "igb_rust_own": "#8fc9a3",
}


def held(before, now):
    """kB that are neither free nor idle in our pool now, and were before."""
    idle = [r.get("owned", 0) - r.get("outstanding", 0) for r in (before, now)]
    return before["free_kb"] - now["free_kb"] + 4 * (idle[0] - idle[1])


class Attack:
    """One round of one driver with packets of one size."""

    def __init__(self, runs):
        self.runs = runs
        for kind in ("buffers", "without", "with", "before", "during", "after"):
            (run,) = self.of(kind)
            setattr(self, kind if kind != "with" else "attacked", run)
        self.pinned = held(self.before, self.during)
        self.hoarded = self.during["to_socket"] - self.during["refused"]
        rate = [r["bytes"] / r["us"] for r in (self.attacked, self.without)]
        self.goodput = rate[0] / rate[1]
        self.back_ms = None
        for r in self.of("back"):
            if held(self.before, r) <= self.pinned / 10 and r.get("outstanding", 0) == 0:
                self.back_ms = r["us"] / 1000
                break

    def of(self, kind):
        return [r for r in self.runs if r["kind"] == kind]

    def check(self, name):
        sent = self.attacked["sent"]
        came = self.during["to_socket"]
        check(came == sent, f"{name}: {came} of {sent} packets came to the socket")
        driver = self.during["driver"]
        if driver == "virtio_net":
            check(self.buffers["c_pool_pages"] > 0, f"{name}: no page of the kernel's page_pool")
        if driver == "e1000":
            check(self.pinned > 2 * self.during["charged"] / 1024, f"{name}: pins {self.pinned} kB, which is no attack")
        if driver not in OURS:
            return
        top = max(r["owned"] for r in self.runs if "owned" in r)
        limit = self.during["max"]
        check(top <= limit, f"{name}: the pool owned {top} pages, more than its limit of {limit}")
        least = GOODPUT_MIN.get(driver, GOODPUT_MIN_SHARED)
        check(self.goodput >= least, f"{name}: the good flow got {self.goodput:.3f} of what it gets alone, less than {least}")
        check(
            self.back_ms is not None and self.back_ms <= BACK_MAX,
            f"{name}: memory was not back after {BACK_MAX} ms",
        )
        # Alone on a queue its packets are two in a page, and its pages fewer.
        if self.during["size"] > COPYBREAK and driver != "igb_rust_own":
            check(self.during["copied"] > 0, f"{name}: nothing was copied, so the pool was not under pressure")


def buffers(attack):
    driver = attack.during["driver"]
    if driver in OURS:
        return "our pool: two in a page"
    if driver == "virtio_net":
        return f"C page_pool: {'mergeable' if attack.buffers['mergeable'] == 1 else 'small'}, two in a page"
    return "order-3 fragments, 16 in 32 KiB"


def row(attacks):
    def mean(values):
        return statistics.mean(values)

    backs = [a.back_ms for a in attacks]
    pinned = [a.pinned for a in attacks]
    last = attacks[-1]
    result = {
        "driver": last.during["driver"],
        "buffers": buffers(last),
        "frame_bytes": last.during["size"],
        "hoarded_packets": round(mean(a.hoarded for a in attacks)),
        "charged_kB": round(mean(a.during["charged"] for a in attacks) / 1024),
        "pinned_kB": round(mean(pinned)),
        "goodput_ratio": round(mean(a.goodput for a in attacks), 3),
        # None: not within the time that was watched.
        "back_ms": None if None in backs else round(max(backs)),
        "pinned_kB_rounds": pinned,
        "goodput_ratio_rounds": [round(a.goodput, 4) for a in attacks],
        "goodput_Mbit_s_without": round(mean(8 * a.without["bytes"] / a.without["us"] for a in attacks)),
    }
    if "owned" in last.during:
        result.update({
            "limit_pages": last.during["max"],
            "owned_pages_most": max(r["owned"] for a in attacks for r in a.runs if "owned" in r),
            "owned_pages_after": max(a.after["owned"] for a in attacks),
            "outstanding_pages": round(mean(a.during["outstanding"] for a in attacks)),
            "copied_packets": round(mean(a.during["copied"] for a in attacks)),
        })
    return result


def table(rows):
    lines = [
        ["driver", "buffers", "frame", "hoarded", "charged", "pinned", "pinned/", "good flow,", "back"],
        ["", "", "bytes", "packets", "kB", "kB", "charged", "of alone", "ms"],
    ]
    for r in rows:
        lines.append([
            NAMES.get(r["driver"], r["driver"]), r["buffers"], str(r["frame_bytes"]), f"{r['hoarded_packets']:,}", f"{r['charged_kB']:,}",
            f"{r['pinned_kB']:,}", f"{r['pinned_kB'] / r['charged_kB']:.2f}", f"{r['goodput_ratio']:.3f}",
            "never" if r["back_ms"] is None else str(r["back_ms"]),
        ])
    return aligned(lines, left=(0, 1))


NOTES = """\
charged: sk_rmem_alloc. pinned: memory that is not free, nor idle in our pool, and was before. back: after the
  hoarder is killed, until nine tenths of that are, and none of our pages is with the stack; the longest of the
  rounds. good flow: bytes a second by TCP, with the attack against the same frames sent to nobody.
e1000_rust: {owned} pages at most, of {limit} that it may have; {copied} packets of both flows were copied; {after} pages
  are kept afterwards, for the device.
{rounds} rounds; the pinned memory differs by {spread:.1f} % at most, the good flow's share by {share:.3f}. QEMU -icount shift=0:
  a millisecond is 10^6 instructions. A packet of the hoarder every {delay} us; the socket may have {socket} MB.
kernel {kernel}"""


def notes(rows, boot, attacks):
    ours = [r for r in rows if r["driver"] == OURS[0]]
    return NOTES.format(
        **{name: max((r[key] for r in ours), default=0) for name, key in (
            ("owned", "owned_pages_most"), ("limit", "limit_pages"), ("copied", "copied_packets"), ("after", "owned_pages_after"),
        )},
        rounds=max(len(a) for a in attacks.values()),
        spread=max(100 * (max(r["pinned_kB_rounds"]) - min(r["pinned_kB_rounds"])) / r["pinned_kB"] for r in rows),
        share=max(max(r["goodput_ratio_rounds"]) - min(r["goodput_ratio_rounds"]) for r in rows),
        delay=boot["delay_us"], socket=boot["socket_mb"], kernel=boot["kernel"],
    )


def bars(ax, rows):
    names = [(r["driver"], r["frame_bytes"]) for r in rows]
    parts = ("charged_kB", "charged to the socket", 0.45), ("pinned_kB", "pinned", 1)
    for i, (key, label, alpha) in enumerate(parts):
        drawn = ax.barh(
            [v + (i - 0.5) * 0.4 for v in range(len(rows))], [r[key] / 1024 for r in rows], height=0.38,
            color=[COLOURS[r["driver"]] for r in rows], alpha=alpha,
        )
        ax.bar_label(drawn, [f"{r[key] / 1024:.1f} {label}" for r in rows], padding=3, fontsize=8)
    ax.set_yticks(range(len(rows)), [f"{NAMES.get(d, d)}\n{s} bytes" for d, s in names], fontsize=9)
    ax.invert_yaxis()
    ax.margins(x=0.35)
    ax.set_title(f"MB, for {rows[0]['hoarded_packets']:,} packets that nobody reads", fontsize=10)


def goodput(ax, rows):
    drawn = ax.barh(range(len(rows)), [r["goodput_ratio"] for r in rows], height=0.6, color=[COLOURS[r["driver"]] for r in rows])
    ax.bar_label(drawn, [f"{r['goodput_ratio']:.3f}" for r in rows], padding=3, fontsize=8)
    ax.set_yticks([])
    ax.invert_yaxis()
    ax.margins(x=0.2)
    ax.set_title("the good flow, of alone", fontsize=10)


def course(ax, attacks, size):
    """How it came about, in the last round, and how it went after the end of the socket."""
    for (driver, this), all_rounds in attacks.items():
        if this != size:
            continue
        a = all_rounds[-1]
        samples = [r for r in a.of("sample") if r["run"] == "with"]
        end = a.attacked["us"]
        points = [(r["us"], held(a.before, r)) for r in samples]
        points += [(end, a.pinned), *((end + r["us"], held(a.before, r)) for r in a.of("back") if r["us"] < 500000)]
        x, y = [x / 1e6 for x, _ in points], [y / 1024 for _, y in points]
        ax.plot(x, y, "o-", markersize=3, color=COLOURS[driver], label=NAMES.get(driver, driver))
    ax.set_xlabel("seconds; the hoarder is killed at the end")
    ax.set_title(f"MB that are neither free nor idle in our pool, {size}-byte frames", fontsize=10)
    ax.legend(frameon=False, fontsize=9)


def plot(out, rows, attacks):
    plt.rcParams["svg.hashsalt"] = "pin-down"  # the same file from the same numbers
    sizes = sorted({r["frame_bytes"] for r in rows})
    fig, axes = plt.subplots(1, 3, figsize=(13, 4.2), width_ratios=(5, 2, 5), layout="constrained")
    bars(axes[0], rows)
    goodput(axes[1], rows)
    course(axes[2], attacks, sizes[-1])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    fig.savefig(out / "pin-down.png", dpi=150)
    fig.savefig(out / "pin-down.svg", metadata={"Date": None})


def main():
    out = Path(sys.argv[1])
    runs = read_runs(out / "vm" / "runs.txt")
    attacks = {}
    keys = dict.fromkeys((r["driver"], r["size"], r["round"]) for r in runs if "round" in r)
    for driver, size, number in sorted(keys, key=lambda k: (k[1], list(COLOURS).index(k[0]), k[2])):
        attack = Attack([r for r in runs if (r.get("driver"), r.get("size"), r.get("round")) == (driver, size, number)])
        attack.check(f"{driver}, {size} bytes, round {number}")
        attacks.setdefault((driver, size), []).append(attack)
    rows = [row(a) for a in attacks.values()]
    (out / "pin-down.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = "\n".join([*table(rows), "", notes(rows, runs[0], attacks)])
    print(text)
    (out / "pin-down.txt").write_text(text + "\n")
    plot(out, rows, attacks)
    if failures:
        print()
        for failure in failures:
            print(f"FAILED: {failure}")
        sys.exit(1)


main()
