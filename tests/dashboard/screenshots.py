# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures in docs/images/: `scripts/screenshots`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from tests.conformance.cloud import a_cloud, until
from tests.dashboard import stage
from tests.dashboard.browser import Page, a_browser
from tests.dashboard.pictures import png, screenshot

PLACE = Path(__file__).parents[2] / "docs" / "images"
SETTLED = 1.5
"""Seconds in which what moves comes to rest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=PLACE, help="folder for the pictures")
    folder = parser.parse_args().into
    folder.mkdir(parents=True, exist_ok=True)
    with a_cloud() as cloud:
        stage.play(cloud)
        with a_browser(cloud, size=(1440, 1160)) as page:
            page.log_in("admin", cloud.credentials.admin_password)
            until("a pod crashes", lambda: any("CrashLoop" in label for label in page.labels("pod mailer")))
            _take(page, folder / "dashboard.png")
            page.log_in("demo", cloud.credentials.demo_password)
            page.press("server web-1")
            page.until_says("login:", ".panel .screen")
            _take(page, folder / "dashboard-server.png")
            dark = [{"name": "prefers-color-scheme", "value": "dark"}]
            page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": dark})
            page.log_in("demo", cloud.credentials.demo_password)
            page.press("pod forecast")
            _take(page, folder / "dashboard-dark.png")


def _take(page: Page, path: Path) -> None:
    time.sleep(SETTLED)
    path.write_bytes(png(screenshot(page.driver)))
    print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
