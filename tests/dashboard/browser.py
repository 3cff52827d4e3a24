# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, looking at the dashboard."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ssl
import tempfile
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.conformance.cloud import Here, until

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
    "--hide-scrollbars",
)  # fmt: skip


class Page:
    """The dashboard of a cloud in one browser."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self) -> None:
        """Afresh, as in a new tab: nobody is logged in."""
        self.driver.get(f"{self.url}/dashboard/")
        self.driver.execute_script("sessionStorage.clear()")
        self.driver.get(f"{self.url}/dashboard/")
        self.find("input[name=user]")

    def log_in(self, user: str, password: str, project: str = "") -> None:
        self.open()
        self.find("input[name=user]").send_keys(user)
        self.find("input[name=password]").send_keys(password)
        self.find("input[name=project]").send_keys(project + Keys.ENTER)
        self.until_live()

    def log_in_with(self, token: str) -> None:
        self.open()
        self.click("With a token instead")
        self.find("textarea[name=token]").send_keys(token)
        self.click("Enter")
        self.until_live()

    def until_live(self, seconds: float = 30.0) -> None:
        until("the page is live", lambda: self.driver.find_elements(By.CSS_SELECTOR, ".connection.live"), seconds)

    def find(self, selector: str, seconds: float = 20.0) -> WebElement:
        """The first element that a CSS selector picks, once there is one."""
        return until(f"the page has {selector}", lambda: self.all(selector), seconds)[0]

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def button(self, label: str) -> WebElement:
        """The thing on the map whose label begins so: `server web, Running`."""
        return self.find(f'button[aria-label^="{label}"]')

    def labels(self, start: str) -> list[str]:
        """Of all things on the page whose label begins so."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.getAttribute('aria-label'))"
        found: list[str] = self.driver.execute_script(script, f'button[aria-label^="{start}"]')
        return found

    def click(self, text: str) -> None:
        """The button with this text."""
        script = """
            const found = [...document.querySelectorAll("button")].find((b) => b.textContent.trim() === arguments[0]);
            found?.click(); return Boolean(found);"""
        until(f"there is a button {text}", lambda: self.driver.execute_script(script, text), 20)

    def press(self, label: str) -> None:
        """Open the panel of a thing on the map."""
        script = "const b = document.querySelector(arguments[0]); b?.click(); return Boolean(b)"
        selector = f'button[aria-label^="{label}"]'
        until(f"{label} can be clicked", lambda: self.driver.execute_script(script, selector), 20)

    def text(self, selector: str = "body") -> str:
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        found: str = self.driver.execute_script(script, selector)
        return found

    def until_says(self, words: str, selector: str = "body", seconds: float = 30.0) -> None:
        until(
            f"{selector} says {words!r}; it says {self.text(selector)!r}", lambda: words in self.text(selector), seconds
        )

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        """What went wrong in the page's own code or policy since the last call; not what the API refused it."""
        said = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        return [words for words in said if "Failed to load resource" not in words]


@contextlib.contextmanager
def a_browser(cloud: Here, *more: str, url: str = "", size: tuple[int, int] = (1440, 900)) -> Iterator[Page]:
    """A fresh Chromium that trusts this cloud's certificate, by its key, and no other."""
    with tempfile.TemporaryDirectory(prefix="lt-browser-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = CHROMIUM
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        pinned = f"--ignore-certificate-errors-spki-list={_key_digest(cloud)}"
        window = f"--window-size={size[0]},{size[1]}"
        for flag in (*FLAGS, f"--user-data-dir={profile}", pinned, window, *more):
            options.add_argument(flag)
        driver = Chrome(options=options, service=ChromeService(executable_path=DRIVER))
        try:
            yield Page(driver, url or cloud.facts.kubernetes_url)
        finally:
            driver.quit()


def _key_digest(cloud: Here) -> str:
    """SHA-256 of the public key that the Kubernetes API shows, in base64."""
    at = urlsplit(cloud.facts.kubernetes_url)
    shown = ssl.get_server_certificate((at.hostname or "", at.port or 443))
    key = x509.load_pem_x509_certificate(shown.encode()).public_key()
    found = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(found).digest()).decode()
