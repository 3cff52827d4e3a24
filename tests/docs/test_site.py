# SPDX-License-Identifier: Apache-2.0
"""The site: every page of the repository's documentation is in it, and is found from its menu."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from .test_docs import PAGES, ROOT


@pytest.fixture(scope="module")
def gather() -> ModuleType:
    loader = SourceFileLoader("gather", str(ROOT / "scripts" / "gather-docs"))
    spec = importlib.util.spec_from_loader("gather", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def menu() -> list[str]:
    lines = (line for line in (ROOT / "mkdocs.yml").read_text().splitlines() if "!!python" not in line)
    return list(_pages(yaml.safe_load("\n".join(lines))["nav"]))


def _pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
        return
    for entry in nav.values() if isinstance(nav, dict) else nav:
        yield from _pages(entry)


def test_the_menu_leads_to_every_page(gather: ModuleType, menu: list[str]):
    assert sorted(menu) == sorted(gather.place_of(page.relative_to(ROOT).as_posix()) for page in PAGES)


def test_a_link_out_of_the_folder_leads_to_the_page_that_moved_in(gather: ModuleType):
    text = "[a](../README.md#idea) [b](reference/cli.md) [c](https://example.org/x.md) [d](#here)"
    assert gather.LINK.sub(lambda found: gather.moved(found, "docs/index.md"), text) == (
        "[a](readme.md#idea) [b](reference/cli.md) [c](https://example.org/x.md) [d](#here)"
    )


def test_a_link_between_designs_stays_one_and_one_into_the_docs_goes_up(gather: ModuleType):
    text = "[a](008-performance.md) [b](../docs/security.md) [c](README.md)"
    assert gather.LINK.sub(lambda found: gather.moved(found, "designs/001-http-server.md"), text) == (
        "[a](008-performance.md) [b](../security.md) [c](index.md)"
    )


def test_every_link_of_the_gathered_site_leads_to_a_file(gather: ModuleType, tmp_path: Path):
    gather.TARGET = tmp_path
    gather.main()
    broken = [
        f"{page.name}: {target}"
        for page in tmp_path.rglob("*.md")
        for _, target, _ in gather.LINK.findall(page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
