# SPDX-License-Identifier: GPL-2.0
"""What the reports share: the lines that a guest wrote, and what was wrong with them."""

import sys

failures = []


def check(ok, text):
    if not ok:
        failures.append(text)


def read_runs(path):
    """The lines of key=value, as dictionaries; numbers where they are numbers."""
    runs = []
    for line in path.read_text().splitlines():
        pairs = (word.split("=", 1) for word in line.split())
        runs.append({k: int(v) if v.isdigit() else v for k, v in pairs})
    if not runs or runs[-1]["kind"] != "end":
        sys.exit(f"error: {path} is incomplete")
    return runs


def aligned(lines, left):
    """The lines of a table with their columns aligned: those whose number is in left at the left."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        cells = (c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths)))
        yield "  ".join(cells).rstrip()
