"""A real browser that looks at pages: the Chromium of this machine, driven by Playwright."""

import shutil
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# As people look: a phone in the dark, and a desktop by day.
PHONE = {
    "viewport": {"width": 360, "height": 780},
    "device_scale_factor": 3,
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "dark",
}
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}
SCREENS = {"phone": PHONE, "desktop": DESKTOP}


@contextmanager
def chromium(*arguments):
    """Starts the browser, or skips the test with a sentence on what is missing."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("pages are not looked at: there is no Chromium on this machine")
    if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        pytest.skip("pages are not looked at: pip install playwright axe-playwright-python")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", *arguments])
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, screen="desktop", **settings):
    """Opens a page as it is seen on a screen; it must not complain."""
    context = browser.new_context(**{**SCREENS[screen], "reduced_motion": "reduce", **settings})
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.goto(path if "://" in str(path) else path.resolve().as_uri())
    yield page
    context.close()
    assert not complaints


def violations(page):
    """Returns what axe-core finds wrong with a page, a line each: rule, and the elements."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {node['html'][:120]}" for v in found for node in v["nodes"]]
