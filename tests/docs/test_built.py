"""The documentation as it is built: every link leads somewhere, each job is two clicks away."""

import re
import threading
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.pages.chromium import chromium, opened, violations

pytestmark = pytest.mark.built_docs
BUILT = Path(__file__).parents[2] / "out/docs"
# What a page must have that shows how each of the three jobs is done.
JOBS = {"features": "pcclust rri ", "clusters": "pcclust cluster ", "robust": "evaluate rotation "}
LOOKED_AT = (
    "index.html",
    "gallery.html",
    "pains.html",
    "search.html",
    "tutorials/cluster.html",
    "howto/other_tools.html",
    "results/RESULTS.html",
    "api/generated/pcclust.rri.html",
    "notebooks/02_cluster_a_folder.html",
)


class Html(HTMLParser):
    """Collects the addresses, the anchors and the texts of a page; links of its article apart."""

    def __init__(self, text):
        super().__init__()
        self.links, self.own_links, self.anchors, self.text, self.inside = [], [], set(), "", 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.inside += tag == "article"
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        address = given.get("href") if tag == "a" else given.get("src")
        if address:
            self.links.append(address)
            self.own_links += [address] * (tag == "a" and self.inside > 0)

    def handle_endtag(self, tag):
        self.inside -= tag == "article"

    def handle_data(self, data):
        self.text += data


@cache
def html(path):
    return Html(path.read_text("utf-8"))


def pages():
    found = sorted(BUILT.rglob("*.html"))
    assert found, "run make docs"
    return found


def target(page, address):
    """Returns the file and the anchor that an address within the documentation means."""
    parts = urlsplit(address)
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    return path / "index.html" if path.is_dir() else path, unquote(parts.fragment)


def is_outside(address):
    return bool(urlsplit(address).scheme)


def test_links_within_lead_to_files_and_anchors_that_are_there():
    missing = set()
    for page in pages():
        for address in html(page).links:
            if is_outside(address):
                continue
            path, anchor = target(page, address)
            whole = path.exists() and (
                not anchor or path.suffix != ".html" or anchor in html(path).anchors
            )
            if not whole:
                missing.add(f"{page.relative_to(BUILT)}: {address}")
    assert not missing


def test_addresses_outside_are_whole():
    outside = {a for page in pages() for a in html(page).links if is_outside(a)}
    assert outside
    wrong = [
        address
        for address in outside
        if not re.fullmatch(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(/[^\s<>\"]*)?", address)
        and not re.match(r"(data:image/|mailto:)", address)
    ]
    assert not wrong


@pytest.mark.parametrize("job", JOBS)
def test_each_job_is_two_clicks_from_the_first_page(job):
    """One goes by what the pages themselves say, and not by the menu."""
    reached = {BUILT / "index.html"}
    for _ in range(2):
        links = [(page, address) for page in reached for address in html(page).own_links]
        reached |= {target(*link)[0] for link in links if not is_outside(link[1])}
    showing = [page for page in reached if page.suffix == ".html" and JOBS[job] in html(page).text]
    assert showing


@pytest.fixture(scope="module")
def address():
    """Serves the documentation; returns where."""
    handler = partial(Quiet, directory=str(BUILT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a word, and no icon to browsers that ask for one."""

    def do_GET(self):
        if self.path != "/favicon.ico":
            return super().do_GET()
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("screen", ["phone", "desktop"])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_axe_finds_nothing(browser, address, name, screen):
    with opened(browser, f"{address}/{name}", screen) as page:
        page.wait_for_timeout(200)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
