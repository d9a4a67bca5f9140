#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Proves from the object code that the fast path holds no call, no atomic and no lock.

usage: fast-path.py OBJDUMP_OUTPUT...    (of objdump -dr -C --no-show-raw-insn)

A function is cut into basic blocks. Those that call something or lock the bus are taken away; if there
still is a way round the loop, past what has to be on it, then nothing of that kind is on the fast path.
The shortest way round is counted. One KTAP line a loop; exit code 1 if one fails.

That a page is allocated or recycled on the way is seen by the counter of it: a field of the pool, whose
offset the bench module's shortest loop tells.
"""

import heapq
import re
import sys

# What is looked at: a name, the function, what is on the way round, the one call that may be, and
# whether there is such a way.
XDP, ALLOC, RECYCLE = "the XDP program's call", "alloc_fast", "recycle_cached"
# The loop that does nothing else.
DIRECT = "bench_main::direct::<page_pool::layout::Whole>"
# The engines are compiled into each driver, with its formats, for each layout of a page that it can take.
DRIVERS = [("e1000", "Whole"), ("e1000", "Half"), ("igb", "Whole"), ("igb", "Half"), ("toy", "Whole")]
# A parameter that is the default is not in a name.
ARGUMENT = {"Whole": "", "Half": "<page_pool::layout::Half>"}
LOOPS = [
    *(
        loop
        for driver, layout in DRIVERS
        for loop in (
            (f"{driver}, {layout}, decided: XDP program, recycle", rf"<net::rx::RxRing<{driver}_main::.*RustPool<page_pool::layout::{layout}>>>::decided::<.*>", (XDP, RECYCLE), True),
            (f"{driver}, {layout}, refill: alloc", rf"<net::descs::Descs<{driver}_main::.*>>::refill::<page_pool::pool::NapiPool{ARGUMENT[layout]}, net::rx::post<.*>>", (ALLOC,), True),
        )
    ),
    ("the bench: alloc and recycle", DIRECT, (ALLOC, RECYCLE), True),
    ("the bench: alloc and recycle half a page", DIRECT.replace("Whole", "Half"), (ALLOC, RECYCLE), True),
    ("the bench: alloc, sync and recycle", DIRECT.replace("direct", "direct_sync"), (ALLOC, RECYCLE), True),
    # The same loop, but the page goes by put_page().
    ("the control: alloc and put_page", DIRECT.replace("direct", "ring"), (ALLOC,), False),
]
# The C side of bpf_prog_run_xdp().
XDP_CALL = "rnet_xdp_run"
LOCKED = re.compile(r"^(lock|xchg\s.*\()")
JUMP = re.compile(r"^(j\w+)\s+([0-9a-f]+)")


def functions(paths):
    """{name: [(address, text, relocation or None)]}"""
    found, body = {}, None
    for path in paths:
        for line in open(path):
            if head := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
                body = found.setdefault(head[1], [])
            elif (code := re.match(r"^ *([0-9a-f]+):\t(.*)$", line)) and body is not None:
                body.append([int(code[1], 16), code[2].strip(), None])
            elif (reloc := re.search(r"R_X86_64_(?:PLT32|PC32)\t(\S.*?)(?:-0x[0-9a-f]+)?$", line)) and body:
                body[-1][2] = reloc[1]
    return found


def blocks(body):
    """{address: (instructions, successors)}; a jump that leaves the function has none."""
    inside = {address for address, _, _ in body}
    starts = {body[0][0]}
    for i, (_, text, reloc) in enumerate(body):
        if jump := JUMP.match(text):
            if not reloc and int(jump[2], 16) in inside:
                starts.add(int(jump[2], 16))
            if i + 1 < len(body):
                starts.add(body[i + 1][0])
    result, start = {}, None
    for i, (address, text, reloc) in enumerate(body):
        if address in starts:
            start = address
            result[start] = ([], [])
        code, after = result[start]
        code.append((text, reloc))
        next_address = body[i + 1][0] if i + 1 < len(body) else None
        jump = JUMP.match(text)
        if jump and not reloc and int(jump[2], 16) in inside:
            after.append(int(jump[2], 16))
        if next_address in starts and not (jump and jump[1] == "jmp") and not text.startswith(("ret", "ud2")):
            after.append(next_address)
    return result


def counters(found):
    """The offsets of the counters: in the loop that does nothing else, of what is incremented there the
    first is alloc_fast, then comes the cache's count, and the last is recycle_cached."""
    offsets = [
        int(match[1], 16)
        for _, text, _ in found[DIRECT]
        if (match := re.match(r"incq\s+0x([0-9a-f]+)\(", text))
    ]
    if len(offsets) != 3:
        sys.exit(f"error: {DIRECT} has {len(offsets)} increments, expected 3: alloc_fast, count, recycle_cached")
    return {ALLOC: offsets[0], RECYCLE: offsets[2]}


def way_round(graph, marks, offsets):
    """The instructions of the shortest way round that passes all marks; None if there is none."""
    # A function may hold a pointer to the pool, or to the Arc in front of it, aligned to 64 bytes.
    places = {name: {f"0x{offset + shift:x}(" for shift in (-64, 0, 64)} for name, offset in offsets.items()}

    def cost(block):
        return sum(not text.startswith("nop") for text, _ in graph[block][0])

    def calls(block):
        return [reloc or text for text, reloc in graph[block][0] if text.startswith("call")]

    def usable(block):
        return all(XDP in marks and target == XDP_CALL for target in calls(block)) and not any(
            LOCKED.match(text) for text, _ in graph[block][0]
        )

    def passes(block, mark):
        if mark == XDP:
            return XDP_CALL in calls(block)
        return any(text.startswith("incq") and any(p in text for p in places[mark]) for text, _ in graph[block][0])

    def distances(start):
        """Instructions from the end of start to the end of each block, by the shortest way."""
        best, queue = {}, [(0, start)]
        while queue:
            spent, block = heapq.heappop(queue)
            for after in graph[block][1]:
                if after in graph and usable(after) and spent + cost(after) < best.get(after, sys.maxsize):
                    best[after] = spent + cost(after)
                    heapq.heappush(queue, (best[after], after))
        return best

    stations = [[b for b in graph if usable(b) and passes(b, mark)] for mark in marks]
    ways = []
    for first in stations[0]:
        there = distances(first)
        if len(stations) == 1 or first in stations[1]:
            ways.append(there.get(first))
        else:
            ways += [there[second] + back for second in stations[1] if second in there and (back := distances(second).get(first))]
    return min((way for way in ways if way), default=None)


def main():
    found = functions(sys.argv[1:])
    offsets = counters(found)
    failed = 0
    print(f"KTAP version 1\n1..{len(LOOPS)}")
    for number, (name, pattern, marks, expected) in enumerate(LOOPS, 1):
        bodies = [body for function, body in found.items() if re.fullmatch(pattern, function)]
        if len(bodies) != 1:
            failed += 1
            print(f"not ok {number} - {name}: {len(bodies)} functions are called {pattern}")
            continue
        count = way_round(blocks(bodies[0]), marks, offsets)
        ok = (count is not None) == expected
        failed += not ok
        result = f"{count} instructions" if count is not None else "no way"
        print(f"{'ok' if ok else 'not ok'} {number} - {name}: without a call, an atomic or a lock {result}")
        if not ok and expected:
            for target in sorted({reloc or text for _, text, reloc in bodies[0] if text.startswith("call")}):
                print(f"# calls {target}")
    sys.exit(1 if failed else 0)


main()
