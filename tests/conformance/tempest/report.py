# SPDX-License-Identifier: Apache-2.0
"""What came out of a run: figures for each service, and a sentence for every failure and skip."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REASONS = Path(__file__).parents[3] / "docs" / "conformance" / "reasons.txt"
WORDS = {"success": "passed", "fail": "failed", "skip": "skipped"}
TITLE = """# Conformance

Written by `scripts/conformance openstack`: Tempest 47, from PyPI and unchanged, two workers, accounts made by Tempest
itself. The list is [openstack.txt](conformance/openstack.txt): all tests marked *smoke* and all of
`tempest.api.identity`. A class that cannot be set up counts once, for all of its tests.
"""
SIMULATED = """## Simulated

`lichen up --simulate` with three simulated hosts."""
REAL = """## Real

`scripts/conformance openstack --real`: `lichen up` on one machine. Each server is a QEMU guest that boots `lichen-tiny`
(emulated: no KVM there); Tempest pings guests and logs in to them at their floating IPs."""


@dataclass(frozen=True)
class Result:
    """One test, or one class's setUpClass, which stands for all of its tests."""

    test: str
    status: str
    detail: str

    @property
    def name(self) -> str:
        return re.sub(r"\[.*", "", self.test)

    @property
    def service(self) -> str:
        inner = re.sub(r"^setUpClass \((.*)\)$", r"\1", self.name)
        parts = inner.split(".")
        return parts[2] if parts[1] == "api" else parts[1]

    @property
    def word(self) -> str:
        return WORDS.get(self.status, "failed")


def summary(results: list[Result], seconds: float) -> str:
    counts = Counter(result.word for result in results)
    told = ", ".join(f"{counts[word]} {word}" for word in ("passed", "failed", "skipped"))
    return f"{told}, in {seconds:.0f} s"


def page(before: str, results: list[Result], seconds: float, *, real: bool) -> str:
    """docs/conformance.md: this run's section anew, the other mode's as it was."""
    kept = {heading: _section_of(before, heading) for heading in ("Simulated", "Real")}
    kept["Real" if real else "Simulated"] = _section(results, seconds, real=real)
    return "\n".join((TITLE, *(text for text in kept.values() if text)))


def _section_of(text: str, heading: str) -> str:
    found = re.search(rf"^## {heading}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found[0].rstrip() + "\n" if found else ""


def _section(results: list[Result], seconds: float, *, real: bool) -> str:
    reasons = _reasons("real" if real else "simulated")
    lines = [
        REAL if real else SIMULATED,
        "",
        f"{summary(results, seconds)}.",
        "",
        "| service | passed | failed | skipped |",
        "|---|---|---|---|",
        *_table(results),
        "",
    ]
    for word in ("failed", "skipped"):
        chosen = sorted((r for r in results if r.word == word), key=lambda r: r.name)
        if chosen:
            lines += [f"### {word.capitalize()}", "", *(f"- `{r.name}`: {_sentence(r, reasons)}" for r in chosen), ""]
    return "\n".join(lines)


def _table(results: list[Result]) -> Iterable[str]:
    counts = Counter((r.service, r.word) for r in results)
    for service in sorted({r.service for r in results}):
        figures = " | ".join(str(counts[service, word]) for word in ("passed", "failed", "skipped"))
        yield f"| {service} | {figures} |"


def _reasons(mode: str) -> list[tuple[re.Pattern[str], str]]:
    """`pattern: sentence`, first match counts; below `[simulated]` or `[real]` for that mode alone."""
    found, here = [], True
    for line in REASONS.read_text().splitlines():
        if line.startswith("["):
            here = line == f"[{mode}]"
        elif here and line and not line.startswith("#"):
            pattern, _, sentence = line.partition(": ")
            found.append((re.compile(pattern), sentence))
    return found


def _sentence(result: Result, reasons: list[tuple[re.Pattern[str], str]]) -> str:
    """Ours if we have one; else Tempest's own last line."""
    ours = next((sentence for pattern, sentence in reasons if pattern.search(result.name)), "")
    said = [line.strip() for line in result.detail.strip().splitlines() if line.strip()]
    theirs = said[-1][:300] if said else "Tempest gave no reason."
    return ours or theirs.replace("|", "\\|")
