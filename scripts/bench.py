#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes bench.json and tables from what scripts/bench.sh has measured, and checks them.

usage: bench.py RESULTS_DIR all|check|update BASELINE_FILE
       samples/bench/bench.sh | bench.py -

all:    tables and bench.json; exit code 1 if a target of the instruction lane is missed
check:  one of ours may not take more than 2 % more instructions than in BASELINE_FILE
update: writes BASELINE_FILE
-:      a table of what samples/bench/bench.sh prints, on any machine

bench.json is a list of objects. ours, peer: median over the rounds, in unit. ratio: ours / peer, for
the time lane the median of the ratios of each round, in which both ran one after the other. spread:
per cent; in the instruction lane of ours from the smallest to the largest round, in the time lane of
the ratio between its quartiles, for the rings, whose sides have rounds of their own, of ours. null:
that side has no such case.
"""

import json
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from runs import aligned

GROWTH_MAX = 2  # per cent, see check

# (lane, case, IOMMU, peer): what ours / peer may be at most.
RATIO_MAX = {
    ("instructions", "direct", "-", "page_pool"): 0.20,
    ("instructions", "direct_mapped", "off", "page_pool"): 0.20,
    ("instructions", "ring", "-", "page_pool"): 0.65,
    ("instructions", "ring_mapped", "off", "page_pool"): 0.65,
    ("instructions", "miss", "-", "page_pool"): 1.00,
    ("instructions", "grow", "-", "page_pool"): 1.00,
    ("instructions", "refill_worst", "-", "ours with 2,560 slots"): 1.10,
    ("instructions", "half", "-", "page_pool"): 0.22,
    # The same driver, with a page for each packet.
    **{
        ("instructions", mode, iommu, "ours, whole pages"): 1.02
        for mode in ("drop", "tx", "copy", "page")
        for iommu in ("off", "strict")
    },
    ("instructions", "drop", "strict", "e1000_rust, alloc + map"): 0.35,
    # The same driver on both pools.
    **{
        ("instructions", mode, iommu, "kernel page_pool"): most
        for mode, most in (("drop", 0.75), ("tx", 0.85), ("copy", 1.00), ("page", 1.00), ("page_held", 1.00))
        for iommu in ("off", "strict")
    },
    # The same card.
    **{
        ("instructions", f"igb_{mode}", iommu, "C igb"): most
        for mode, most in (("drop", 0.90), ("tx", 0.45), ("page", 1.00))
        for iommu in ("off", "strict")
    },
    ("instructions", "queues_drop", "off", "one queue"): 1.05,
    ("instructions", "queues_copy", "off", "one queue"): 1.05,
    ("time", "direct", "-", "page_pool"): 0.50,
    ("time", "ring", "-", "page_pool"): 0.80,
    ("time", "return_cpus_2", "-", "page_pool"): 0.50,
    ("time", "return_cpus_2", "-", "ours on 1 CPU"): 1.20,
}
# Instructions that the hook may add to a page that is not ours.
ADDED_MAX = {"untagged_put_page": 5, "untagged_release_pages_1": 15, "untagged_release_pages_16": 15 * 16}

DRIVERS = {
    "whole": "ours, whole pages",
    "kernel": "kernel page_pool",
    "alloc": "e1000_rust, alloc + map",
    "c": "C e1000",
    "c-map": "C e1000, copybreak=0",
    "c-igb": "C igb",
    "igb": "one queue",
}
# Case and variant of ours by that of the peer, if it is not the mode and "pool".
CASES = {"c-igb": ("igb_{}", "igb"), "igb": ("queues_{}", "igb-2")}
UPSTREAM = {
    "no-softirq-page_pool01": "direct",
    "no-softirq-page_pool02": "ring",
    "no-softirq-page_pool03": "miss",
}


def quartiles(values):
    return statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3


def pairs(path):
    """The lines of key=value, as dictionaries; numbers where they are numbers."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        words = [word.split("=", 1) for word in line.split() if "=" in word]
        if words:
            yield {k: int(v) if v.isdigit() else v for k, v in words}


def make_row(lane, case, unit, ours, peer, peer_name, iommu="-", ratio=None, spread=None, **more):
    """ours, peer: the values of all rounds, or None."""
    row = {
        "case": case,
        "lane": lane,
        "unit": unit,
        "ours": None if ours is None else round(statistics.median(ours), 2),
        "peer": None if peer is None else round(statistics.median(peer), 2),
        "ratio": ratio,
        "spread": spread,
        "peer_name": peer_name,
        "iommu": iommu,
        "rounds": len(ours if ours is not None else peer),
        "ours_min": None if ours is None else round(min(ours), 2),
        "peer_min": None if peer is None else round(min(peer), 2),
    }
    if ours is not None and ratio is None and row["peer"]:
        row["ratio"] = round(row["ours"] / row["peer"], 3)
    if spread is None:
        values = ours if ours is not None else peer
        row["spread"] = round(100 * (max(values) - min(values)) / (statistics.median(values) or 1), 2)
    return {**row, **more}


def sides(path, key):
    """{(case, map): {side: {round: value per op}}} of one boot, in the order of the log."""
    found = defaultdict(lambda: defaultdict(dict))
    for line in pairs(path):
        if "ops" in line:
            found[line["case"], line["map"]][line["side"]][line["round"]] = line[key] / line["ops"]
    return found


def instruction_rows(out):
    direct = {}
    for iommu in ("off", "strict", "lazy"):
        boot = sides(out / iommu / "output.log", "cycles")
        for (case, mapped), by_side in boot.items():
            if case == "loop":
                continue
            if mapped == "dma":
                case += "_mapped"
            elif iommu != "off":
                continue
            name = iommu if mapped == "dma" else "-"
            values = {side: list(rounds.values()) for side, rounds in by_side.items()}
            if case.startswith("untagged_"):
                yield make_row(
                    "instructions", case, "instructions/call", values["on"], values["off"], "without the hook",
                    added=round(statistics.median(values["on"]) - statistics.median(values["off"]), 2),
                )
                continue
            ours = values.pop("ours", None)
            if case in ("direct", "direct_mapped"):
                direct[case, name] = ours
            if case == "map_mapped":
                # What it costs us that the pages are mapped.
                once = statistics.median(direct["direct_mapped", name]) - statistics.median(direct["direct", "-"])
                yield make_row("instructions", "map", "instructions/page", [once], values["dma_map_page"], "dma_map_page", name)
                continue
            for side, peer in values.items():
                side = side.replace("ours_2560", "ours with 2,560 slots").replace("ours_whole", "ours, whole pages")
                order = re.fullmatch(r"order_(\d)", case)
                yield make_row("instructions", case, f"instructions/{'block' if order else 'page'}", ours, peer, side, name)
                if order:
                    each = [value / (1 << int(order[1])) for value in peer]
                    yield make_row(
                        "instructions", f"{case}_per_4k", "instructions/4 KiB", direct.get(("direct", "-")), each, side
                    )
            if iommu == "off" and mapped == "none":
                yield from upstream_rows(out, case, ours)


def upstream_rows(out, case, ours):
    for line in (out / "off" / "output.log").read_text().splitlines():
        found = re.match(r"upstream=(\S+) Per elem: \d+ cycles\(tsc\) ([\d.]+) ns", line)
        if found and UPSTREAM.get(found[1]) == case:
            yield make_row("instructions", case, "instructions/page", ours, [float(found[2])], "upstream's bench")


def packet_rows(out):
    for boot in ("off", "strict", "queues"):
        iommu = "off" if boot == "queues" else boot
        runs = list(pairs(out / f"packets-{boot}" / "runs.txt"))
        if not runs:
            continue
        if runs[-1]["kind"] != "end":
            sys.exit(f"error: packets-{boot}/runs.txt is incomplete")
        alone, costs, lost = {}, defaultdict(list), defaultdict(int)
        for run in runs:
            if run["kind"] == "sender":
                alone[run["variant"], run["mode"], run["round"]] = run["usec"] / run["sent"]
            elif run["kind"] == "both":
                what = run["mode"], run["variant"]
                sender = alone[run["variant"], run["mode"], run["round"]] * run["sent"]
                costs[what].append(1000 * (run["usec"] - sender) / run["rx"])
                lost[what] += run["sent"] - run["rx"]
        for (mode, variant), peer in costs.items():
            case, ours = CASES.get(variant, ("{}", "pool"))
            case = case.format(mode)
            if variant in DRIVERS and (mode, ours) in costs:
                yield make_row(
                    "instructions", case, "instructions/packet", costs[mode, ours], peer, DRIVERS[variant], iommu,
                    lost=lost[mode, variant],
                )


def ring_rows(out):
    rounds = defaultdict(list)
    for line in pairs(out / "ring.txt"):
        rounds[line["case"], line["cpus"], line["side"]].append(line["ns"] / line["ops"])
    for case, cpus, side in list(rounds):
        if side != "ours":
            continue
        ours, peer = rounds[case, cpus, "ours"], rounds.get((case, cpus, "page_pool"))
        low, median, high = quartiles(ours)
        spread = round(100 * (high - low) / median, 1)
        if case.startswith("pressure"):
            # On a machine with more CPUs it may not cost more.
            few = rounds[case, 2, "ours"]
            name = f"{case}_cpus_{cpus}"
            yield make_row("time", name, "ns/packet", ours, few if cpus > 2 else None, "ours with 2 CPUs", spread=spread)
        if peer:
            yield make_row(
                "time", f"{case}_{cpus}", "ns/page", ours, peer, "page_pool", spread=spread,
                ratio_min=round(min(ours) / min(peer), 3),
            )
        if case == "return_cpus" and cpus > 1:
            one = rounds[case, 1, "ours"]
            yield make_row("time", f"{case}_{cpus}", "ns/page", ours, one, "ours on 1 CPU", spread=spread)
        if case == "return_interrupts":
            without = rounds["return_cpus", cpus, "ours"]
            yield make_row(
                "time", f"{case}_{cpus}", "ns/page", ours, without, "ours without them", spread=spread,
                ratio_min=round(min(ours) / min(without), 3),
            )


def uml_rows(out):
    for (case, _), by_side in sides(out / "uml" / "output.log", "ns").items():
        if case == "loop":
            continue
        ours = by_side.pop("ours", None) or by_side.pop("on", None)
        for side, peer in by_side.items():
            side = "without the hook" if side == "off" else side
            if ours is None:
                yield make_row("time", case, "ns/op", None, list(peer.values()), side)
                continue
            low, ratio, high = quartiles([ours[n] / peer[n] for n in ours])
            yield make_row(
                "time", case, "ns/page", list(ours.values()), list(peer.values()), side,
                ratio=round(ratio, 3), spread=round(100 * (high - low) / ratio, 1),
            )


def judge(row):
    """'ok', 'MISSED' or '', and what was asked for."""
    if row["case"] in ADDED_MAX and "added" in row:
        most = ADDED_MAX[row["case"]]
        # A tenth for what interrupts add to one side more than to the other.
        return ("ok" if row["added"] <= most + 0.1 * (most > 15) + 0.1 else "MISSED"), f"+{most}"
    most = RATIO_MAX.get((row["lane"], row["case"], row["iommu"], row["peer_name"]))
    if most is None or row["ratio"] is None:
        return "", ""
    return ("ok" if row["ratio"] <= most else "MISSED"), f"{most:.2f}"


def tables(rows):
    def number(value, form="{:.2f}"):
        return "-" if value is None else form.format(value)

    groups = defaultdict(list)
    for row in rows:
        groups[row["lane"], row["unit"]].append(row)
    for (lane, unit), members in groups.items():
        head = ["case", "IOMMU", "peer", "ours", "peer's", "ratio", "spread %", "at most", ""]
        lines = [head]
        for row in members:
            verdict, most = judge(row)
            ratio = f"+{row['added']:.2f}" if "added" in row else number(row["ratio"], "{:.3f}")
            lines.append([
                row["case"], row["iommu"], row["peer_name"], number(row["ours"]), number(row["peer"]),
                ratio, number(row["spread"]), most, verdict,
            ])
        yield f"{lane}: {unit}"
        for line in aligned(lines, left=(0, 1, 2, 8)):
            yield "  " + line
        yield ""


DOCUMENT = """\
.. SPDX-License-Identifier: GPL-2.0
.. Generated by "scripts/bench.sh --document". Do not edit.

==============================
Rust page pool: what it costs
==============================

Our pool, the C page_pool and the page allocator, side by side: ``make bench``
makes these tables and plots again. There are two lanes, which do not measure the
same thing:

*instructions*
    QEMU's ``-icount shift=0``, one CPU: a guest nanosecond is an instruction. Repeats
    to about 0.1 %, and gates (``make bench-check``). Counts no cache misses, and an
    atomic operation as one.

*time*
    A real CPU. The pools run in User-Mode Linux, on a kernel for one CPU: there an
    atomic operation has no lock prefix, a spinlock is nothing, and the page allocator
    has no per-CPU lists and no bulk allocation. So what the C pool pays for the lock of
    its ring is not in there, nor our hook by ftrace (the kernel has ``patches/``). It is
    built in the small code model, so that calls are direct ones as in any other kernel.
    The rings run as host threads that are pinned to CPUs, ours as shipped against the
    kernel's ``ptr_ring.h`` and spinlock; the page counts, reference counts and hooks
    around them are not in there.

Where the lanes disagree: ``miss`` and ``grow`` depend on the page allocator, which is
another one on a kernel for one CPU, see above. Both pools are filled with 64 pages
before the first round: that allocator gives one page at a time, and a pool that goes
round with one page asks its ring for each (then ``ring`` takes both pools 12 to 13 ns).

Both sides of a case run in softirq context (but for the rings), one after the
other, in each of several rounds. *ours* and *peer's* are medians, the ratio is ours
to the peer's, *at most* is what we want it to be.

.. image:: rust_page_pool_bench.svg

What the cases are
==================

``direct``
    alloc, and recycle directly: what an XDP program drops
``direct_sync``
    the same with a look at the packet in between
``ring``
    alloc, and return by ``put_page()``, the hook and this CPU's ring; the C pool by
    ``page_pool_put_page()`` and its ring
``miss``
    nothing is recycled, each page comes from the page allocator and goes there: our pool keeps
    none, and takes and gives them back 64 at once; the C pool's pages had another reference,
    and it allocates 64 at once
``grow``
    a new pool gets its pages; in the instruction lane this depends on what the page
    allocator has at hand
``bulk_N``
    N pages at a time
``order_N``
    the page allocator by order; ``_per_4k``: for each 4 KiB of it, against our pool
``refill_worst``
    the dearest refill of a pool with 100,000 slots that are all in use, or just were: refused at
    the limit, from the list, and with slots that others have freed; against one with 2,560
``map``
    ``dma_map_page()`` and ``dma_unmap_page()``, against what our pool pays for its pages
    being mapped
``untagged_X``
    pages of no pool, freed by X with the hook on (ours) and off; the allocation is
    in both, what the hook adds is in the column of the ratio. With the hook of
    ``patches/`` it is 4 instructions for each X of a single page (``make bench
    KERNEL=patched CASE=untagged_put_page``)
``drop``, ``tx``, ``copy``, ``page``
    whole packets through the drivers: dropped by XDP, sent back by XDP, up the stack
    copied, up the stack in their page; the sender's part is subtracted. ``kernel page_pool`` is
    the same driver with ``buffers=kernel``. Of the two ``page`` is where the kernel's pool does best: the skb
    is freed in the poll that made it, so the page goes straight into the cache, about as in ``direct``,
    while ours takes the way of all pages, ``put_page()`` and the ring, as in ``ring``. That takes most of
    what we save in the driver (see ``drop``)
``page_held``
    a page up the stack that waits in a socket's queue behind 1,500 others, and comes back in process
    context, many at a time: the ordinary case. The rings of both pools overflow then, ours less
``return_cpus_N``
    N CPUs return pages at once; ``return_concurrent_N``: while another one takes them;
    ``return_interrupts_N``: while another one returns pages from interrupts, to the list
``pressure_cpus_N``
    what a packet pays for the question how close the limit is, with N CPUs that return pages,
    when 2,560 pages are home again; ``pressure_held_cpus_N``: while they are held

A case with ``_mapped`` has pages that are mapped for a device.

Where a packet's instructions go
================================

Each instruction that the guest executes, counted by address (a plugin for QEMU's TCG), while pktgen sends
20,000 packets that the card takes, less the same while it sends as many that the card refuses; by function
then, and for a packet. The clock of the same run says 0 to 3 % less, 7 % for *page_held* with the kernel's pool,
as it stops with the sender. e1000_rust on both pools, no IOMMU:

=================================== ===== ======== ===== ======== ===== =========
\\                                   drop           page           page_held
----------------------------------- -------------- -------------- ---------------
``buffers=``                        rust  kernel   rust  kernel   rust  kernel
=================================== ===== ======== ===== ======== ===== =========
driver and ``rust/net``             126   155      174   188      175   190
pool                                0     123      87    160      159   849
page allocator                                                    187   272
mapping                                                           64    92
XDP program, with its dispatcher    14    14
skb                                 1     2        342   353      397   375
GRO                                                399   399      406   407
link layer                                         304   304      304   304
IP                                                 430   430      776   777
UDP, sockets, system calls                         92    92       1,853 1,900
checks of lists (LIST_HARDENED)     1     1        186   185      255   272
interrupts, NAPI, RCU               2     3        73    75       381   400
all                                 145   298      2,085 2,187    4,966 5,846
=================================== ===== ======== ===== ======== ===== =========

- *page*: 1,824 of 2,085 are the stack's, with either pool. Driver and framework take 46 from the descriptor to a packet that
  is believed, 47 to the call that makes an skb of it, 50 in that call, and 29 to give the card another page. Of these, 25 are
  the pool's, compiled in there: to ask about the pressure (13), to let the page go (5), to allocate (7). What it takes
  besides is 27 in the hook, of which 9 find the page's ``struct page``; 46 to find pool, slot and ring, and to
  believe what is found; and 14 until the page is in the cache again. The kernel's takes 51 to allocate and 101 to free.
- So a pool that costs nothing at all would be at 0.90 of the kernel's here. Ours is at 0.95.
- *page_held*: the ring of the one CPU overflows while the reader has it, with either pool, and what does
  not fit goes to the page allocator, of ours a third, and others come from there. That is what pool, page
  allocator and mapping take more than in *page*.
- *drop*: of 145, 23 are the program and the way there. The page costs no call. With an IOMMU in strict mode
  it is 207, by the same code. There the sender is so slow that the receiver is interrupted for each 38 packets, not for each
  141, and a poll finds fewer; and it never waits for its card, which without an IOMMU it does, so that 20 of the receiver's
  instructions fall into what the sender would have spent anyhow.

Results
=======

{about}

::

{tables}
"""


def document(rows, about):
    """The page for Documentation/."""
    lines = [f":{name}: {value}" for name, value in about.items()]
    indented = "\n".join("    " + line if line else "" for line in "\n".join(tables(rows)).rstrip().splitlines())
    return DOCUMENT.format(about="\n".join(lines), tables=indented)


def key(row):
    return f"{row['case']}, IOMMU {row['iommu']}, {row['unit']}"


def figures(rows):
    """The least of ours in the instruction lane, each once; and what the hook adds, which is ours too."""
    result = {}
    for row in rows:
        if row["lane"] == "instructions" and "added" in row:
            result[f"{row['case']}, added"] = row["added"]
        elif row["lane"] == "instructions" and row["ours"] is not None and not row["case"].endswith("_per_4k"):
            # A new pool's pages come from whatever state the page allocator is in; ours of "map" is
            # a difference of two cases that are there themselves.
            if row["case"] != "map" and not row["case"].startswith("grow"):
                result[key(row)] = row["ours_min"]
    return result


def check(rows, about, path):
    if not path.exists():
        sys.exit(f"error: no {path}: make one with scripts/bench.sh --update")
    baseline = json.loads(path.read_text())
    for what in baseline["about"]:
        if baseline["about"][what] != about.get(what):
            sys.exit(
                f"error: the baseline is for {what} {baseline['about'][what]}, this is {about.get(what)}: "
                "instructions cannot be compared; make a new one with scripts/bench.sh --update, of a commit that is good"
            )
    grown = 0
    now = figures(rows)
    for name, new in now.items():
        old = baseline["figures"].get(name)
        if old is None:
            print(f"new: {name}: {new}")
        # One instruction is more than 2 % of the shortest; what interrupts add is less than a tenth.
        elif new > old * (1 + GROWTH_MAX / 100) + 0.1:
            grown += 1
            print(f"FAILED: {name}: {old} -> {new} (+{100 * (new / old - 1):.1f} %)" if old else f"FAILED: {name}: {old} -> {new}")
        elif new < old * (1 - GROWTH_MAX / 100) - 0.1:
            print(f"better: {name}: {old} -> {new}")
    for name in sorted(set(baseline["figures"]) - set(now)):
        grown += 1
        print(f"FAILED: {name}: not measured")
    functions = about_functions()
    if grown and functions:
        for name, size in functions.items():
            old = baseline["functions"].get(name)
            if old != size:
                print(f"  {name}: {old} -> {size} instructions of code")
    print(f"{len(now)} figures, {grown} grew by more than {GROWTH_MAX} %")
    sys.exit(1 if grown else 0)


def about_functions():
    """The size of each function of our modules, to say where a figure comes from."""
    path = OUT / "functions"
    return dict(sorted((n, int(c)) for c, n in (l.split(None, 1) for l in path.read_text().splitlines()))) if path.exists() else {}


def raw(lines):
    """Cycles and ns of each side, as they come from one machine."""
    found = defaultdict(list)
    for line in lines:
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "ops" in words:
            ops = int(words["ops"])
            found[words["case"], words["map"], words["side"]].append((int(words["cycles"]) / ops, int(words["ns"]) / ops))
    print(f"{'case':26} {'pages':9} {'side':14} {'cycles':>10} {'ns':>10}   (median of {max(map(len, found.values()), default=0)} rounds)")
    for (case, mapped, side), values in found.items():
        cycles, ns = (statistics.median(column) for column in zip(*values))
        print(f"{case:26} {'mapped' if mapped == 'dma' else 'unmapped':9} {side:14} {cycles:10.2f} {ns:10.2f}")


OUT = Path(sys.argv[1])


def main():
    if sys.argv[1] == "-":
        return raw(sys.stdin)
    mode, baseline = sys.argv[2], Path(sys.argv[3])
    about = dict(line.split("=", 1) for line in (OUT / "about").read_text().splitlines())
    rows = [*instruction_rows(OUT), *packet_rows(OUT), *ring_rows(OUT), *uml_rows(OUT)]
    if not rows:
        sys.exit("error: no such case: 'make bench' without CASE= shows all of them")
    (OUT / "bench.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = "\n".join(tables(rows))
    (OUT / "bench.txt").write_text(text + "\n")
    (OUT / "bench.rst").write_text(document(rows, about))
    # Of these the figures depend.
    about = {name: about[name] for name in about if name not in ("commit", "configuration")}
    if mode == "check":
        check(rows, about, baseline)
    print(text)
    if mode == "update":
        baseline.write_text(json.dumps({"about": about, "figures": figures(rows), "functions": about_functions()}, indent=1) + "\n")
        print(f"written: {baseline}")
    missed = [row for row in rows if judge(row)[0] == "MISSED"]
    for row in missed:
        print(f"MISSED: {row['lane']}, {key(row)}, against {row['peer_name']}: {row['ratio']}, at most {judge(row)[1]}")
    sys.exit(1 if any(row["lane"] == "instructions" for row in missed) else 0)


main()
