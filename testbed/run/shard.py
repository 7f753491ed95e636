"""Deals scenarios out to several runners, each of which runs one part: the same parts on every machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from testbed.engines import catalogue
from testbed.engines.applicable import obstacle
from testbed.scenario.cell import Cell
from testbed.scenario.engine import REFERENCE

_WRITTEN = re.compile(r"([0-9]{1,4})/([0-9]{1,4})")

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` parts, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse(text: str) -> Shard:
    """What "2/3" means. Raises ValueError for what is no part of a whole."""
    written = _WRITTEN.fullmatch(text)
    if written is not None:
        shard = Shard(int(written[1]), int(written[2]))
        if 1 <= shard.number <= shard.count:
            return shard
    raise ValueError(f"{text!r} is no part of a whole; write 1/3, 2/3 and 3/3 for three runners")


def cells_of(cells: Sequence[Cell], shard: Shard) -> list[Cell]:
    """The cells of one part, in their order. Those that share a baseline stay together where that is fair."""
    dealt = deal(cells, shard.count, _baseline, lambda cell: cell.id, _works)
    return dealt[shard.number - 1]


def deal(
    items: Sequence[Item],
    count: int,
    group: Callable[[Item], Hashable],
    name: Callable[[Item], str],
    works: Callable[[Item], bool],
) -> list[list[Item]]:
    """Deal items out into so many parts of about the same work, whatever the order that they come in.

    Items of a group share the work of a baseline, which counts like one item; a group is cut only where it is
    larger than a fair part. Items that do not work cost nothing, and are dealt out the same way afterwards.
    Names tell items apart. Every part has its items in their order.
    """
    busy = [item for item in items if works(item)]
    idle = [item for item in items if not works(item)]
    placed: dict[str, int] = {}
    for some in (busy, idle):
        loads = [0] * count
        for piece in _pieces(some, -(-len(some) // count), group, name):
            part = loads.index(min(loads))
            loads[part] += len(piece) + 1
            placed |= dict.fromkeys(piece, part)
    return [[item for item in items if placed[name(item)] == part] for part in range(count)]


def _pieces(
    items: Sequence[Item], most: int, group: Callable[[Item], Hashable], name: Callable[[Item], str]
) -> list[list[str]]:
    """The names of items by group, in pieces of at most so many, the largest first."""
    groups: dict[Hashable, list[str]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(name(item))
    pieces = [
        ordered[start : start + most]
        for ordered in map(sorted, groups.values())
        for start in range(0, len(ordered), most)
    ]
    return sorted(pieces, key=lambda piece: (-len(piece), piece))


def _baseline(cell: Cell) -> Hashable:
    return cell.path, cell.baseline_key


def _works(cell: Cell) -> bool:
    """Whether there is something to run: the engine can do it. What a machine lacks makes no difference."""
    engine = cell.scenario.resolver.engine
    return engine == REFERENCE or obstacle(catalogue.load(engine).description, cell) is None
