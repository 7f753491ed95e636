"""``adox costs``: what each mechanism costs until the answer."""

from __future__ import annotations

from typing import Annotated

import typer

from testbed.cli._running import run_all
from testbed.reports.costs import table
from testbed.reports.output import write_text
from testbed.tables import costs


def command(
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Workers; default: one for each CPU.")
    ] = None,
    markdown: Annotated[
        str | None, typer.Option("--markdown", metavar="FILE", help="Write the table; - is stdout (default).")
    ] = None,
) -> None:
    """Measure what each mechanism adds to plain DNS: round trips, queries, octets, handshakes.

    Beside the round trips stands what the protocols' structure predicts, and why they differ where they do.
    """
    runs = run_all(costs.cells(), jobs, None)
    write_text(table(costs.entries(costs.table(runs))), markdown or "-")
