#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Looks for circles of imports among the modules of a crate: each is to be read without the ones that need it.

usage: imports.py CRATE_DIR...
"""

import re
import sys
from pathlib import Path


def names(tree):
    """The modules that the text of a "use crate::..." names."""
    if not tree.startswith("{"):
        return {tree.split("::")[0].strip()}
    depth, flat = 0, ""
    for c in tree[1:-1]:
        depth += {"{": 1, "}": -1}.get(c, 0)
        flat += c if not depth else ""
    return {item.split("::")[0].strip(" {}\n") for item in flat.split(",")}


def imports(crate):
    """For each module, which others it names. What is in a folder is one module, if there is one of that name."""
    found = {}
    for path in sorted(Path(crate).rglob("*.rs")):
        name, *rest = path.relative_to(crate).parts
        folder = Path(crate, name)
        if rest and not (folder / "mod.rs").exists() and not folder.with_suffix(".rs").exists():
            name = rest[0]
        name = name.removesuffix(".rs")
        text = re.sub(r"//.*", "", path.read_text())
        used = found.setdefault(name, set())
        for tree in re.findall(r"use crate::(\{.*?\n\}|\w+)", text, re.S):
            used |= names(tree)
        used |= set(re.findall(r"\bcrate::(\w+)::", text))
    return {name: sorted(used & set(found) - {name}) for name, used in found.items()}


def circle(modules):
    done, way = set(), []

    def visit(name):
        if name in way:
            return [*way[way.index(name):], name]
        if name in done:
            return None
        way.append(name)
        for other in modules[name]:
            if found := visit(other):
                return found
        way.pop()
        done.add(name)
        return None

    return next(filter(None, map(visit, modules)), None)


failed = False
for crate in sys.argv[1:]:
    if found := circle(imports(crate)):
        print(f"{crate}: {' -> '.join(found)}")
        failed = True
sys.exit(failed)
