"""The browser and the pages, each made once."""

from functools import cache

import pytest

from tests.pages.chromium import chromium
from tests.pages.every_kind import write_page


@pytest.fixture(scope="module")
def browser():
    """The browser; its driver has an event loop, which tests of other modules must not find."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def page_of(tmp_path_factory):
    """Returns the path of a page of some kind."""
    return cache(lambda name: write_page(name, tmp_path_factory.mktemp(name)))
