from __future__ import annotations

import base64
import hashlib
import html
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import records

from testbed.compare.findings import visible
from testbed.record import Standing, Verdict
from testbed.reports import html as report

VOID = {"meta", "br", "input", "link", "img", "hr"}


class Page(HTMLParser):
    """Parses a page, insisting that every element is closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.tags, self.text, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute of {tag} is given twice"
        assert not any(name.startswith("on") for name in values), values
        self.tags.append((tag, values))
        if "id" in values:
            self.ids.append(values["id"])
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if "id" in dict(attrs):
            self.ids.append(dict(attrs)["id"])

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag, **attributes):
        return [
            values
            for name, values in self.tags
            if name == tag and all(values.get(key) == value for key, value in attributes.items())
        ]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path("report")


def rendered(runs, folder):
    return report.write(runs, folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("runs", [records.sample(), records.many(80), [records.hostile()], []])
def test_the_page_is_well_formed(folder, runs):
    text = rendered(runs, folder)
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in page.ids
    for use in re.findall(r'<use href="#([a-z]+)"', text):
        assert use in page.ids
    for marker in re.findall(r"url\(#([a-z-]+)\)", text):
        assert marker in page.ids
    svgs = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert svgs
    for svg in svgs:
        ET.fromstring(svg)


def test_everything_that_a_reader_looks_for_is_there(folder):
    text = rendered(records.sample(), folder)
    seen = html.unescape("".join(Page(text).text))
    for run in records.sample():
        assert run.id in seen
        assert run.title in seen
        assert run.says in seen
        assert run.why in seen
        assert f'data-verdict="{run.verdict}"' in text
        for found in run.exposures:
            assert f"frame.number == {found.packet}'" in seen
            assert found.capture in seen
        for line in run.trace:
            assert line.text in seen
        for mismatch in run.mismatches:
            assert mismatch in seen
        for line in run.attackers:
            assert line.attacker in seen
        for answer in run.answer:
            assert answer in seen
    assert "12 runs: 9 as expected, 1 differs, 1 inconclusive, 1 skipped (unbound is not installed)" in seen
    assert "the attack never fired" in seen


def test_each_run_has_a_section_that_its_badge_leads_to(folder):
    page = Page(rendered(records.many(80), folder))
    sections = page.all("details", **{"class": "run"})
    assert len(sections) == 80
    links = [link for link in page.all("a") if link.get("class") == "cell"]
    assert sorted(link["href"][1:] for link in links) == sorted(section["id"] for section in sections)


def test_one_run_is_open_the_first_that_differs_or_the_worst(folder):
    def opened(runs):
        (only,) = [found for found in Page(rendered(runs, folder)).all("details") if "open" in found]
        return only["id"]

    assert opened(records.sample()) == "run-basic-tls-blocked-policy-strict"
    expected = [run for run in records.sample() if run.expected]
    assert opened(expected) == "run-basic-own-certificate"
    assert opened([records.skipped()]) == "run-basic-unbound-minimises"


def test_links_to_captures_are_relative_to_the_page(folder):
    page = Page(rendered([records.downgrade()], folder))
    (capture,) = [link["href"] for link in page.all("a") if not link["href"].startswith("#")]
    assert capture == "../results/runs/basic/tls-blocked%5Bpolicy%3Dopportunistic%5D/attack/target.pcapng"


def test_without_evidence_there_is_no_link_to_a_capture(folder):
    text = rendered([records.downgrade(evidence=None)], folder)
    assert not [link for link in Page(text).all("a") if not link["href"].startswith("#")]
    assert "attack/target.pcapng" in text


def test_the_baseline_stands_beside_the_attack(folder):
    text = rendered([records.hijack()], folder)
    rows = dict(re.findall(r'<th scope="row">([a-z ]+)</th><td>(.*?)</td><td>', text))
    assert rows["verdict"] == "safe"
    assert rows["answer"] == "NOERROR secret.example.org. A 192.0.2.80"
    assert {"leak", "queries", "packets", "bytes", "round trips", "handshakes", "hijack"} <= rows.keys()
    assert "denial" not in rows


def test_whatever_the_baseline_exposes_is_exposed_at_rest(folder):
    exposures = records.downgrade().exposures
    baseline = records.baseline().model_copy(update={"exposures": exposures})
    text = rendered([records.safe(baseline=baseline)], folder)
    assert '<th scope="row">exposed at rest</th><td>name</td><td>none</td>' in text


def test_the_page_needs_nothing_else_and_its_policy_forbids_it(folder):
    text = rendered(records.sample(), folder)
    page = Page(text)
    assert not page.all("link")
    assert not page.all("img")
    assert "http://" not in text
    assert "https://" not in text
    assert "@import" not in text
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert f"script-src 'sha256-{digest}'" in policy["content"]
    assert policy["content"].startswith("default-src 'none'")


def test_hostile_text_stays_text(folder):
    text = rendered([records.hostile()], folder)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "<script>alert" not in text
    for character in "\x00\x1b\u202e\u2066\ufffe":
        assert character not in text
    assert visible(records.HOSTILE) in "".join(page.text)
    assert "49" not in "".join(page.text)
    for link in page.all("a"):
        assert not link["href"].lower().startswith("javascript")


def test_a_hostile_capture_name_makes_a_harmless_link(folder):
    run = records.hostile().model_copy(update={"evidence": "results/x"})
    links = [link["href"] for link in Page(rendered([run], folder)).all("a")]
    (capture,) = [link for link in links if not link.startswith("#")]
    assert capture.startswith("../results/x/javascript%3A%3Cscript%3E")


def test_colour_is_never_the_only_sign(folder):
    text = rendered(records.sample(), folder)
    for verdict in Verdict:
        symbol = f'<span aria-hidden="true">{report.SYMBOLS[verdict]}</span>'
        assert f'<span class="badge v-{verdict}">{symbol} {verdict}' in text
    assert len(set(report.SYMBOLS.values())) == len(Verdict)


def test_tables_have_headers_and_scopes(folder):
    page = Page(rendered(records.sample(), folder))
    assert len(page.all("caption")) == 1
    assert all(header.get("scope") in ("col", "row", "rowgroup") for header in page.all("th"))
    assert all(svg.get("role") == "img" or svg.get("aria-hidden") == "true" for svg in page.all("svg"))


def test_no_runs_say_so(folder):
    text = rendered([], folder)
    assert "no scenario was run" in text
    assert not Page(text).all("table")


def test_the_same_runs_give_the_same_page_whatever_the_order(folder):
    runs = records.many(30)
    assert rendered(runs, folder) == rendered(runs[::-1], folder)


def test_a_hundred_runs_are_small_and_quick(folder):
    runs = records.many(100)
    report.render(runs[:1], folder)
    started = time.process_time()
    text = rendered(runs, folder)
    assert time.process_time() - started < 1
    assert len(text.encode()) < 3_000_000


def test_accepted_results_are_told_from_new_failures(tmp_path):
    known = records.unexpected(standing=Standing.SAME)
    worse = records.safe(standing=Standing.WORSE, changes=("leak: accepted none, got name",))
    lines = Page(report.write([known, worse], tmp_path).read_text()).text
    text = " ".join(lines)
    assert "≈ accepted" in text
    assert "Worse than accepted" in text
    assert "leak: accepted none, got name" in text
    assert "expected denial, got leak" not in text
