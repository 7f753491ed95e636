"""The JUnit report, in the dialect that Jenkins and GitLab read: a suite per section, a test case per run."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from testbed.compare.findings import HOW, at_rest, visible
from testbed.record import Run
from testbed.reports.output import write_text
from testbed.reports.summary import (
    Status,
    axes,
    capture_path,
    differing,
    matrix,
    section,
    status,
    took,
    tshark,
)

TRACE_TAIL = 20
"""How many of the resolver's last decisions a failure quotes."""

_NOT_RUN = (Status.SKIPPED, Status.NOT_APPLICABLE)
_COUNTED = {"failures": (Status.DIFFERS,), "errors": (Status.INCONCLUSIVE,), "skipped": _NOT_RUN}


def dump(runs: Sequence[Run]) -> str:
    """The report as XML 1.0, whatever characters the records contain."""
    root = _suite("testsuites", "adox", runs)
    sections: dict[str, list[Run]] = {}
    for run in matrix(runs).runs:
        sections.setdefault(section(run), []).append(run)
    for name, members in sections.items():
        suite = _suite("testsuite", name, members)
        suite.extend(_case(run) for run in members)
        root.append(suite)
    ET.indent(root)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(root, encoding='unicode')}\n"


def write(runs: Sequence[Run], path: str) -> None:
    """Write the report to a file, or to standard output if the path is "-". Raises OSError."""
    write_text(dump(runs), path)


def _suite(tag: str, name: str, runs: Sequence[Run]) -> ET.Element:
    statuses = [status(run) for run in runs]
    counts = {attribute: str(sum(map(statuses.count, kinds))) for attribute, kinds in _COUNTED.items()}
    seconds = f"{sum(run.duration_s for run in runs):.3f}"
    return ET.Element(tag, {"name": visible(name), "tests": str(len(runs)), **counts, "time": seconds})


def _case(run: Run) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": visible(section(run)),
            "name": visible(run.id),
            "time": f"{run.duration_s:.3f}",
        },
    )
    properties = ET.SubElement(case, "properties")
    for name, value in _properties(run).items():
        ET.SubElement(properties, "property", {"name": visible(name), "value": visible(value)})
    kind = status(run)
    if kind in _NOT_RUN:
        ET.SubElement(case, "skipped", {"message": visible(run.reason)})
    elif kind is Status.INCONCLUSIVE:
        error = ET.SubElement(case, "error", {"message": visible(run.reason), "type": run.verdict})
        error.text = _body(run)
    elif kind is Status.DIFFERS:
        message = visible("; ".join(differing(run)))
        failure = ET.SubElement(case, "failure", {"message": message, "type": run.verdict})
        failure.text = _body(run)
    return case


def _properties(run: Run) -> dict[str, str]:
    flags = {name: getattr(run, name) for name in ("downgrade", "hijack", "denial", "detected", "fired")}
    return {
        "scenario": run.scenario,
        "engine": run.engine,
        "policy": run.policy,
        **({} if run.claim is None else {"claim": str(run.claim)}),
        **{f"axis.{axis}": value for axis, value in axes(run).items()},
        "verdict": run.verdict,
        "leak": run.leak,
        "exposed_at_rest": at_rest(run),
        **{name: str(value).lower() for name, value in flags.items()},
        **({} if run.standing is None else {"standing": run.standing}),
        "seed": str(run.seed),
        **({} if run.evidence is None else {"evidence": run.evidence}),
    }


def _body(run: Run) -> str:
    flags = [name for name in ("downgrade", "hijack", "denial", "detected") if getattr(run, name)]
    lines = [run.title, f"verdict: {run.verdict}, leak: {run.leak}" + "".join(f", {flag}" for flag in flags)]
    lines += [f"answer: {answer}" for answer in run.answer]
    for found in run.exposures:
        rest = ", without the attack too" if found.at_rest else ""
        lines.append(
            f"{found.secret} {HOW[found.how]}{rest}: link {found.link}, packet {found.packet}: {found.text}"
        )
        lines.append(f"  {tshark(capture_path(run, found.capture), found.packet)}")
    lines += [
        f"attacker {line.attacker}{f' on {line.link}' if line.link else ', off-path'}: "
        f"matched {line.matched}, acted {line.acted}; "
        f"took {took(line.spent)}"
        for line in run.attackers
    ]
    lines += [f"step {line.step + 1}: {line.kind}: {line.text}" for line in run.trace[-TRACE_TAIL:]]
    return "\n".join(map(visible, lines))
