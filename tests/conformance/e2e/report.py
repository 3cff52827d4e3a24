# SPDX-License-Identifier: Apache-2.0
"""What came out of a run of e2e.test: its JUnit report as a page, with a sentence for every failure and skip."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

REASONS = Path(__file__).parents[3] / "docs" / "conformance" / "kubernetes-reasons.txt"
WORDS = ("passed", "failed", "skipped")


@dataclass(frozen=True)
class Result:
    """One test. word: passed, failed or skipped. detail: what the suite said of it."""

    name: str
    word: str
    detail: str = ""

    @property
    def area(self) -> str:
        """`sig-network`."""
        match = re.match(r"\[(sig-[\w-]+)\]", self.name)
        return match[1] if match else "other"


def results_of(junit: Path, wanted: list[str]) -> list[Result]:
    """One for each wanted name; what the report does not know was not run."""
    told: dict[str, Result] = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        name = (case.get("name") or "").removeprefix("[It] ")
        found = next((w for w in wanted if name.startswith(w)), None)
        if found is not None:
            told[found] = _result(found, case)
    return [told.get(name) or Result(name, "skipped", "This e2e.test does not know the test.") for name in wanted]


def _result(name: str, case: ElementTree.Element) -> Result:
    for tag in ("failure", "error"):
        fault = case.find(tag)
        if fault is not None:
            return Result(name, "failed", fault.get("message") or fault.text or "")
    skipped = case.find("skipped")
    if skipped is not None:
        return Result(name, "skipped", skipped.get("message") or "")
    return Result(name, "passed")


def summary(results: list[Result], seconds: float) -> str:
    counts = Counter(result.word for result in results)
    return f"{', '.join(f'{counts[word]} {word}' for word in WORDS)}, in {seconds:.0f} s"


def page(results: list[Result], seconds: float, against: str) -> str:
    """docs/conformance-kubernetes.md."""
    lines = [
        "# Conformance: Kubernetes",
        "",
        "Written by `scripts/conformance kubernetes PATH-TO-e2e.test`: Kubernetes' own conformance tests, unchanged,",
        f"against {against}. The list is [kubernetes.txt](conformance/kubernetes.txt): what the API and its",
        "controllers are asked without any node.",
        "",
        f"{summary(results, seconds)}.",
        "",
        "| area | passed | failed | skipped |",
        "|---|---|---|---|",
        *_table(results),
        "",
    ]
    reasons = _reasons()
    for word in ("failed", "skipped"):
        chosen = sorted((r for r in results if r.word == word), key=lambda r: r.name)
        if chosen:
            lines += [f"## {word.capitalize()}", "", *(f"- `{r.name}`: {_sentence(r, reasons)}" for r in chosen), ""]
    return "\n".join(lines)


def _table(results: list[Result]) -> Iterable[str]:
    counts = Counter((r.area, r.word) for r in results)
    for area in sorted({r.area for r in results}):
        yield f"| {area} | {' | '.join(str(counts[area, word]) for word in WORDS)} |"


def _reasons() -> list[tuple[re.Pattern[str], str]]:
    lines = [line for line in REASONS.read_text().splitlines() if line and not line.startswith("#")]
    return [(re.compile(line.partition(": ")[0]), line.partition(": ")[2]) for line in lines]


def _sentence(result: Result, reasons: list[tuple[re.Pattern[str], str]]) -> str:
    """Ours if we have one; else the first line that the suite said."""
    ours = next((sentence for pattern, sentence in reasons if pattern.search(result.name)), "")
    said = [line.strip() for line in result.detail.strip().splitlines() if line.strip()]
    return ours or (said[0][:300].replace("|", "\\|") if said else "The suite gave no reason.")
