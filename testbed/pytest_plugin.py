"""The pytest plugin: scenario files are tests.

``pytest scenarios/`` runs them, each cell of a matrix a test of its own, with ``-k`` to select and, with
pytest-xdist, ``-n`` to spread them. A file counts as a scenario when it lies below a folder named in the
ini option ``adox_scenarios``, by default "scenarios".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from testbed.record import Run
    from testbed.run.pool import Pool
    from testbed.scenario.cell import Cell

_pools = pytest.StashKey[dict[str, "Pool"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addini(
        "adox_scenarios",
        "Names of folders whose YAML files are scenarios.",
        type="args",
        default=["scenarios"],
    )
    group = parser.getgroup("adox")
    group.addoption("--adox-results", metavar="DIR", help="Keep the evidence of scenarios in this folder.")
    group.addoption(
        "--adox-shard", metavar="I/N", help="Only part I of N of the scenarios, for one of several runners."
    )
    group.addoption("--adox-seed", type=int, default=0, help="Seed of everything that is random.")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take YAML files in the folders of scenarios."""
    folders = set(parent.config.getini("adox_scenarios"))
    if file_path.suffix != ".yaml" or not folders & {folder.name for folder in file_path.parents}:
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the scenarios of other runners out, after those that an expression leaves out."""
    text = config.getoption("--adox-shard")
    scenarios = [item for item in items if isinstance(item, ScenarioItem)]
    if text is None or not scenarios:
        return
    from testbed.run import shard as shards  # noqa: PLC0415

    try:
        part = shards.parse(text)
    except ValueError as error:
        raise pytest.UsageError(f"--adox-shard: {error}") from error
    ours = {cell.id for cell in shards.cells_of([item.cell for item in scenarios], part)}
    left_out: set[pytest.Item] = {item for item in scenarios if item.cell.id not in ours}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the workers."""
    for pool in config.stash.get(_pools, {}).values():
        pool.__exit__(None, None, None)


class ScenarioFile(pytest.File):
    """A scenario file; what is unusable in it fails its collection."""

    def collect(self) -> Iterable[ScenarioItem]:
        """Each cell of its matrix."""
        from testbed.scenario.errors import ScenarioError  # noqa: PLC0415 - other tests need not wait
        from testbed.scenario.load import load_file  # noqa: PLC0415

        try:
            cells = load_file(self.path)
        except ScenarioError as error:
            raise self.CollectError(str(error)) from error
        return self._items(cells)

    def _items(self, cells: list[Cell]) -> Iterator[ScenarioItem]:
        for cell in cells:
            item: ScenarioItem = ScenarioItem.from_parent(self, name=cell.id, cell=cell)
            yield item


class DiffersError(Exception):
    """A run did not come out as expected."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.id)
        self.run = run


class ScenarioItem(pytest.Item):
    """A scenario, or a cell of one's matrix."""

    def __init__(self, *, cell: Cell, **options: Any) -> None:
        super().__init__(**options)
        self.cell = cell

    def runtest(self) -> None:
        """Run it in this process's worker; skipped where no sandbox can be made."""
        from testbed.network.sandbox import SandboxError  # noqa: PLC0415
        from testbed.reports.summary import Status, status  # noqa: PLC0415

        try:
            (run,) = self._pool().run([self.cell])
        except SandboxError as error:
            pytest.skip(str(error))
        self.user_properties.append(("verdict", str(run.verdict)))
        if status(run) in (Status.SKIPPED, Status.NOT_APPLICABLE):
            pytest.skip(run.reason)
        if status(run) not in (Status.AS_EXPECTED, Status.UNJUDGED):
            raise DiffersError(run)

    def _pool(self) -> Pool:
        from testbed.run.pool import Pool  # noqa: PLC0415

        pools = self.config.stash.setdefault(_pools, {})
        if "pool" not in pools:
            results = self.config.getoption("--adox-results")
            folder = Path(results) if results else None
            pools["pool"] = Pool(1, self.config.getoption("--adox-seed"), folder)
        return pools["pool"]

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """What differs, and the packets that decide it."""
        if isinstance(excinfo.value, DiffersError):
            return "\n".join(_explained(excinfo.value.run))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands, and its title."""
        return self.path, self.cell.line - 1, f"{self.cell.id}: {self.cell.scenario.title}"


def _explained(run: Run) -> Iterator[str]:
    yield f"{run.id}: {run.verdict}" + (f" ({run.reason})" if run.reason else "")
    yield from (f"  {mismatch}" for mismatch in run.mismatches)
    yield from (f"  the client got: {answer}" for answer in run.answer)
    for exposure in run.exposures:
        where = f"packet {exposure.packet} of {exposure.capture}"
        yield f"  the attacker read the {exposure.secret} in {where}: {exposure.text}"
    if run.evidence:
        yield f"  evidence: {run.evidence}"
    yield "  the resolver's decisions:"
    yield from (f"    {line.kind}: {line.text}" for line in run.trace)
