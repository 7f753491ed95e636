"""A file of accepted results: what is known of a resolver, kept in its own repository, a line for each run.

::

    # Not before issue 12 is done.
    ds-glue/stripped[policy=strict] leak engine=./engine leak=name downgrade differs=verdict,leak

Lines are like those of the accepted results of the testbed itself (``reference.py``), without what a real
program does not do the same way each time. ``differs`` names what is not as the scenario expects.
Comments belong to the line below them and stay with it. The first lines, up to an empty one, are the head.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testbed.compare.findings import at_rest
from testbed.compare.reference import ENGINE, VERDICT, Entry, Line, UnreadableError, line, lines, name_of
from testbed.core.notation import quoted
from testbed.record import NOT_RUN, SECRETS, Outcome, Run, Verdict
from testbed.scenario.engine import REFERENCE
from testbed.scenario.errors import ScenarioError, unknown

HEAD = (
    "# Accepted results: what adox run --baseline compares with, and --accept writes",
    "# id verdict name=value ...; a name alone: yes",
    "",
)

LEAK, AT_REST, DIFFERS = "leak", "at-rest", "differs"
LEVELS = ("hijack", LEAK, AT_REST, "downgrade", "denial")
"""What makes one outcome worse than another, the gravest first."""

_FLAGS = ("downgrade", "hijack", "denial", "detected")
_YES, _NO = "yes", "no"
_KNOWN = (ENGINE, LEAK, AT_REST, *_FLAGS, DIFFERS)


@dataclass(frozen=True, slots=True)
class Result:
    """What is accepted of a run. ``number`` is its line, 0 for one that is in no file yet."""

    id: str
    kept: Entry
    number: int = 0
    comments: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return Verdict(self.kept[VERDICT])

    @property
    def engine(self) -> str:
        """The resolver: a name, or a path from the folder that the file is in."""
        return self.kept.get(ENGINE, REFERENCE)

    @property
    def differs(self) -> frozenset[str]:
        """What is not as the scenario expects."""
        text = self.kept.get(DIFFERS, "")
        return frozenset(text.split(",")) if text else frozenset()

    def level(self, name: str) -> str:
        """How bad one of LEVELS is: a secret, or yes or no."""
        return self.kept.get(name, "none" if name in (LEAK, AT_REST) else _NO)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A file of accepted results. ``rest`` are comments below which no result stands."""

    path: Path
    results: Mapping[str, Result] = field(default_factory=dict)
    head: tuple[str, ...] = HEAD
    rest: tuple[str, ...] = ()

    def of(self, id: str, engine: str) -> Result | None:
        """What is accepted of a run, by its id and its engine; None if nothing is.

        Raises ScenarioError where it is accepted of another resolver.
        """
        found = self.results.get(name_of(id))
        named = engine_from(engine, self.path.parent)
        if found is not None and found.engine != named:
            message = (
                f"this is a result of {quoted(found.engine)}, and not of {quoted(named)}; "
                "keep a file for each resolver"
            )
            raise ScenarioError(self.path, found.number, 1, message)
        return found

    def text(self) -> str:
        """The file as it is written: its results in the order of ids."""
        written = [*self.head]
        for result in sorted(self.results.values(), key=lambda result: result.id):
            written += [*result.comments, line(result.id, result.kept)]
        return "\n".join([*written, *self.rest]) + "\n"


def read(path: Path) -> Accepted:
    """The accepted results in a file. Raises ScenarioError, with line and column, for what is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        how = "write it with --accept" if isinstance(error, FileNotFoundError) else "give a readable file"
        raise ScenarioError(path, 0, 0, f"cannot be read ({error.strerror}); {how}") from error
    except UnicodeDecodeError as error:
        raise ScenarioError(
            path, 1, 1, "this is no text in UTF-8; give a file of accepted results"
        ) from error
    try:
        found = {one.number: one for one in lines(text)}
    except UnreadableError as error:
        raise ScenarioError(path, error.line, error.column, error.message) from error
    for one in found.values():
        _check(one, path)
    results = {}
    written = text.splitlines()
    start = _head(written)
    comments: list[str] = []
    for number, content in enumerate(written[start:], start + 1):
        if number in found:
            one = found[number]
            results[one.id] = Result(one.id, one.kept, number, tuple(comments))
            comments = []
        else:
            comments.append(content)
    return Accepted(path, results, tuple(written[:start]), tuple(comments))


def _head(written: Sequence[str]) -> int:
    """How many lines are the head: comments up to an empty line; none if a result comes before that."""
    for number, content in enumerate(written):
        if not content.strip():
            return number + 1
        if not content.startswith("#"):
            return 0
    return len(written)


def _check(one: Line, path: Path) -> None:
    """Raise ScenarioError for what no accepted result has."""

    def wrong(name: str, message: str) -> ScenarioError:
        return ScenarioError(path, one.number, one.columns[name], message)

    if one.kept[VERDICT] in NOT_RUN:
        raise wrong(VERDICT, "what did not run cannot be accepted; remove the line")
    for name, value in one.kept.items():
        if name == VERDICT:
            continue
        if name not in _KNOWN:
            raise wrong(name, unknown("name", name, _KNOWN, " of a result"))
        if name in (LEAK, AT_REST) and value not in SECRETS[1:]:
            raise wrong(name, unknown("secret", value, SECRETS[1:]))
        if name in _FLAGS and value != _YES:
            raise wrong(name, f"{quoted(name)} takes no value; leave it out where it is not so")


def engine_from(engine: str, folder: Path) -> str:
    """How a file in a folder names a resolver: by its name, or the path from there, in one word."""
    if "/" not in engine:
        return engine
    path = os.path.relpath(engine, folder.resolve())
    return name_of(path if path.startswith("..") else f"./{path}")


def levels(outcome: Outcome) -> dict[str, str]:
    """How bad an outcome is, by LEVELS."""
    secrets = {LEAK: outcome.leak, AT_REST: at_rest(outcome)}
    flags = {name: _YES if getattr(outcome, name) else _NO for name in LEVELS if name not in secrets}
    return {name: (secrets | flags)[name] for name in LEVELS}


def mismatched(run: Run) -> dict[str, str]:
    """What is not as the scenario expects: the texts of the record, by the field that they are about."""
    if run.expected is not False:
        return {}
    return {text.partition(":")[0].replace(" ", "-"): text for text in run.mismatches}


def result_of(run: Run, folder: Path) -> Result:
    """What a file in a folder would keep of a run."""
    kept = {VERDICT: str(run.verdict)}
    if (engine := engine_from(run.engine, folder)) != REFERENCE:
        kept[ENGINE] = engine
    if run.verdict is not Verdict.INCONCLUSIVE:
        outcome = levels(run)
        kept |= {name: outcome[name] for name in (LEAK, AT_REST) if outcome[name] != "none"}
        kept |= {flag: _YES for flag in _FLAGS if getattr(run, flag)}
        if differs := mismatched(run):
            kept[DIFFERS] = ",".join(sorted(differs))
    return Result(name_of(run.id), kept)


def updated(old: Accepted, runs: Iterable[Run], gone: Collection[str], *, inconclusive: bool) -> Accepted:
    """The file with these runs accepted, and without those that are ``gone``.

    What is not applicable has no line. Of runs that were skipped, or were inconclusive, the old line stays;
    with ``inconclusive`` those are accepted too.
    """
    results = {id: result for id, result in old.results.items() if id not in gone}
    for run in runs:
        new = result_of(run, old.path.parent)
        if run.verdict is Verdict.NOT_APPLICABLE:
            results.pop(new.id, None)
        elif run.verdict is not Verdict.SKIPPED and (inconclusive or run.verdict is not Verdict.INCONCLUSIVE):
            before = results.get(new.id)
            results[new.id] = dataclasses.replace(new, comments=before.comments if before else ())
    return dataclasses.replace(old, results=results)
