"""The page that explains where real resolvers do not do what the policy that they were given says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from testbed.compare.reference import VERDICT, Entry
from testbed.tables.engine_results import DIFFERS, MEANING, Explanation, Kind, differing

_INTRODUCTION = """# Where real resolvers differ

Made by `adox accept docs`. Every scenario that an engine can follow was run with it; what came out is in
`results/reference/engines`. Each run that did not come to what its policy expects is explained here. Whose
the difference is:
"""


def page(engines: Mapping[str, tuple[str, Mapping[str, Entry], Sequence[Explanation]]]) -> str:
    """The page. ``engines`` has, by name, the title, what it came to, and what explains the differences."""
    return "\n".join(_page(engines)) + "\n"


def _page(engines: Mapping[str, tuple[str, Mapping[str, Entry], Sequence[Explanation]]]) -> Iterator[str]:
    yield _INTRODUCTION
    yield from (f"- **{kind}**: {MEANING[kind]}" for kind in Kind)
    yield ""
    yield f"| engine | runs | as expected | {' | '.join(Kind)} |"
    yield "|---|" + "---|" * (2 + len(Kind))
    for title, kept, known in engines.values():
        wrong = differing(kept)
        by_kind = Counter(one.kind for one in known for id in wrong if one.covers(id))
        numbers = (len(kept), len(kept) - len(wrong), *(by_kind[kind] for kind in Kind))
        yield f"| {title} | {' | '.join(map(str, numbers))} |"
    for title, kept, known in engines.values():
        yield f"\n## {title}"
        yield from (line for one in known for line in _section(one, kept))


def _section(one: Explanation, kept: Mapping[str, Entry]) -> Iterator[str]:
    yield f"\n### {one.title}\n"
    yield f"*{one.kind.capitalize()}.* {one.why.strip()}\n"
    if one.varies:
        yield from (f"- `{pattern}`: not the same each time" for pattern in one.runs)
    for id in differing(kept):
        if one.covers(id):
            wrong = kept[id][DIFFERS].replace(",", ", ")
            yield f"- `{id}`: {_outcome(kept[id])}; otherwise than expected: {wrong}"


def _outcome(entry: Entry) -> str:
    leak = f", leak of the {entry['leak']}" if "leak" in entry else ""
    return f"{entry[VERDICT]}{leak}"
