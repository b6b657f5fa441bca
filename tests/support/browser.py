"""The browser that looks at reports: one that is installed, or Chromium put beside the environment without root.

`python -m tests.support.browser` gets it once, as npm's package of a headless build.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser

INSTALLED = ("chromium", "chromium-browser", "google-chrome")
FOLDER = Path(sys.prefix) / "chromium"
NPM_PACKAGE = "@sparticuz/chromium@153.0.0"
HOW = "no Chromium: apt-get install chromium, or run 'python -m tests.support.browser' where npm is installed"
# A browser run by root in a container, that asks nobody anything.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Visible texts that stick out of the window or, in a chart, out of the chart; tables scroll by themselves.
OUTSIDE = """
[...document.querySelectorAll('h1, h2, h3, p, dt, dd, svg text, th, td, li, figcaption')].filter(e => {
  const box = e.getBoundingClientRect(), chart = e.closest('svg');
  if (!box.width) return false;
  const frame = chart ? chart.getBoundingClientRect() : {left: 0, right: innerWidth, top: -1e9, bottom: 1e9};
  return box.left < frame.left - 1 || box.right > frame.right + 1
    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
}).map(e => e.textContent)
"""


def look(browser: Browser, report: Path, width: int, scheme: Literal["light", "dark"]) -> int:
    """Open a report without a network; it must be whole, quiet and readable. Returns how many charts are shown."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate("[...document.images].filter(e => !e.naturalWidth).map(e => e.title)") == []
    light, dark = page.evaluate(
        "[document.body, document.querySelector('h1')].map(e => getComputedStyle(e))"
        ".map((s, i) => i ? s.color : s.backgroundColor)"
    )
    assert (brightness(light) > brightness(dark)) == (scheme == "light")
    shown = [chart for chart in page.query_selector_all("svg") if chart.is_visible()]
    page.close()
    return len(shown)


def brightness(colour: str) -> int:
    """Of a colour as CSS has it."""
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3])


def find() -> Path | None:
    """The program of an installed browser that starts, or None."""
    known = [Path(found) for name in INSTALLED if (found := shutil.which(name))]
    for program in [*known, FOLDER / "chromium"]:
        if program.exists() and _starts(program):
            return program
    return None


def install() -> None:
    """Put Chromium into the environment's folder.

    Raises:
        OSError: npm is missing.
        subprocess.SubprocessError: npm could not fetch the package.
    """
    import brotli

    with tempfile.TemporaryDirectory(prefix="visionserve-chromium-") as folder:
        packed = subprocess.run(
            ["npm", "pack", "--silent", NPM_PACKAGE],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as package:
            package.extractall(folder, filter="data")
        FOLDER.mkdir(exist_ok=True)
        program = FOLDER / "chromium"
        part = program.with_suffix(".part")
        part.write_bytes(brotli.decompress((Path(folder) / "package" / "bin" / "chromium.br").read_bytes()))
        part.chmod(0o755)
        part.replace(program)


def _starts(program: Path) -> bool:
    try:
        done = subprocess.run([program, "--version", "--no-sandbox"], capture_output=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def main() -> None:
    """Get a browser if there is none, and say so; the suite runs without one too."""
    if find() is None:
        try:
            install()
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            sys.stdout.write(f"Chromium could not be fetched by npm: {error}\n")
    sys.stdout.write(f"browser of the tests: {find() or HOW}\n")


if __name__ == "__main__":
    main()
