"""Nobody is kept out: contrast, names, structure, keyboard of every kind of page, by axe-core."""

import pytest

from tests.pages.chromium import opened, violations
from tests.pages.every_kind import PAGES


@pytest.mark.parametrize("screen", ["phone", "desktop"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing(browser, page_of, name, screen):
    with opened(browser, page_of(name), screen) as page:
        page.wait_for_timeout(100)
        assert violations(page) == []
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, "the page scrolls sideways"
