# SPDX-License-Identifier: Apache-2.0
"""What is documented is what is there: every setting, kind, field, column, call and command; every link leads on."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from lichen.apis.kubernetes.metrics import gauges
from lichen.cli.main import build_parser
from lichen.daemon.settings import Settings
from lichen.kinds.catalog import columns_of, own_kinds
from lichen.model.data import camel
from lichen.model.metrics import DECLARED
from lichen.store.memory import MemoryStore

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("designs/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def reference() -> ModuleType:
    loader = SourceFileLoader("reference", str(ROOT / "scripts" / "reference"))
    spec = importlib.util.spec_from_loader("reference", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


WRITTEN = reference().pages()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_reference_page_is_what_the_code_says(name: str):
    page = ROOT / "docs" / "reference" / name
    assert page.read_text() == WRITTEN[name], "run: .venv/bin/python scripts/reference"


def test_every_setting_is_documented():
    assert [f.name for f in fields(Settings) if f"| `{f.name}` |" not in WRITTEN["settings.md"]] == []


def test_every_metric_is_documented():
    shown = (*DECLARED, *gauges(MemoryStore()))
    assert [m.name for m in shown if f"| `{m.name}` |" not in WRITTEN["metrics.md"] or not m.help] == []


@pytest.mark.parametrize("kind", own_kinds(), ids=str)
def test_every_field_and_column_of_a_kind_is_documented(kind):
    section = WRITTEN["kinds.md"].split(f"## {kind.kind}\n")[1].split("\n## ")[0]
    for part in ("Spec", "Status"):
        declared = getattr(getattr(kind.model, part, None), "declared_fields", {})
        for name, info in declared.items():
            assert info.doc, f"{kind.kind}.{name} says nothing of itself"
            assert f"| `{info.wire or camel(name)}` |" in section
    if "list" in kind.verbs:
        assert [c.name for c in columns_of(kind) if c.name not in section] == []


def test_every_command_is_documented_and_the_readme_names_it():
    (commands,) = (action for action in build_parser()._actions if action.choices and action.dest == "command")
    readme = (ROOT / "README.md").read_text()
    for command in commands.choices:
        assert f"## lichen {command}\n" in WRITTEN["cli.md"]
        assert f"`lichen {command}" in readme, f"README.md does not name `lichen {command}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_something(page: Path):
    for target in LINK.findall(page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_designs_are_numbered_and_listed():
    pages = sorted(path.name for path in (ROOT / "designs").glob("*.md") if path.name != "README.md")
    assert [name for name in pages if not re.fullmatch(r"\d{3}-[a-z0-9-]+\.md", name)] == []
    numbers = [name[:3] for name in pages]
    assert len(numbers) == len(set(numbers))
    index = (ROOT / "designs" / "README.md").read_text()
    assert [name for name in pages if f"]({name})" not in index] == []
