"""The published page in a browser: from the grid to a benchmark, whose curve and legend are drawn."""

import base64
import functools
import hashlib
import http.server
import json
import re
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from repositories import SUITE, Repository, copy_parts, environment, need, run

pytestmark = pytest.mark.slow

BENCHMARK = "epoch.Epoch.time_epoch"
PACKAGES = (
    "playwright-core@1.65.1",
    "jquery@3.3.1",
    "flot@0.8.3",
    "flot-orderbars@1.0.0",
    "stupid-table-plugin@1.1.3",
    "blueimp-md5@2.19.0",
    "bootstrap@3.1.1",
)
# What the page asks the network for, and where the packages have it.
LIBRARIES = {
    "jquery-3.3.1.min.js": "jquery/dist/jquery.min.js",
    "jquery.flot.min.js": "flot/jquery.flot.js",
    "jquery.flot.time.min.js": "flot/jquery.flot.time.js",
    "jquery.flot.selection.min.js": "flot/jquery.flot.selection.js",
    "jquery.flot.categories.min.js": "flot/jquery.flot.categories.js",
    "jquery.flot.orderBars.js": "flot-orderbars/js/jquery.flot.orderBars.js",
    "stupidtable.min.js": "stupid-table-plugin/stupidtable.min.js",
    "md5.min.js": "blueimp-md5/js/md5.min.js",
    "bootstrap.min.js": "bootstrap/dist/js/bootstrap.min.js",
    "bootstrap.min.css": "bootstrap/dist/css/bootstrap.min.css",
}
# Of these the packages have the same library, but not the bytes: Flot's source, and a later table sorter.
OTHER_BYTES = {name for name in LIBRARIES if name.startswith(("jquery.flot.", "stupidtable"))} - {
    "jquery.flot.orderBars.js"
}
OUTSIDE = re.compile(r'(?:src|href)="(https?://[^"]+)" integrity="([^"]+)"')
# Pixels: the curve of many commits goes across the plot; that of two beside each other is more than a point.
ACROSS, WIDER_THAN_A_POINT = 100, 20


def results(suite):
    """Files of results, without those that describe a machine."""
    return [path for path in sorted(suite.glob("results/*/*.json")) if path.name != "machine.json"]


def rename_commits(repository, files):
    """Make an empty commit for each that has results, in their order, and let the results name those.

    The tree may have come without its history, and the page shows only commits that there are.
    """
    dates = {}
    for path in files:
        result = json.loads(path.read_text(encoding="utf-8"))
        dates[result["commit_hash"]] = result["date"]
    hashes = {
        old: repository.commit(f"as measured: {old}", date // 1000)
        for old, date in sorted(dates.items(), key=lambda item: item[1])
    }
    for path in files:
        text = path.read_text(encoding="utf-8")
        old = json.loads(text)["commit_hash"]
        path.write_text(text.replace(old, hashes[old]), encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the page published from the tracked results."""
    folder = tmp_path_factory.mktemp("page")
    tree = copy_parts(folder / "tree", SUITE)
    files = results(tree / SUITE)
    assert files, f"{SUITE}/results has no results; measure a commit as {SUITE}/README.md says"
    repository = Repository(tree, folder / "home")
    rename_commits(repository, files)
    repository.asv("publish", "--no-pull", "--html-dir", folder / "html")
    return folder / "html"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Folder of the installed packages."""
    folder = tmp_path_factory.mktemp("packages")
    npm = need("npm", "install Node.js 20 or newer, with npm")
    command = (npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, *PACKAGES)
    run(*command, cwd=folder, environ=environment(Path.home()))
    return folder / "node_modules"


def digest(path, algorithm):
    value = hashlib.new(algorithm, path.read_bytes()).digest()
    return f"{algorithm}-{base64.b64encode(value).decode()}"


def trust(index, packages):
    """Let the page accept the packages' files; returns the names of those that are not its own bytes."""
    text = index.read_text(encoding="utf-8")
    others = set()
    for address, integrity in OUTSIDE.findall(text):
        name = Path(urlsplit(address).path).name
        assert name in LIBRARIES, f"the page asks for {name}, which LIBRARIES does not have"
        found = digest(packages / LIBRARIES[name], integrity.split("-")[0])
        if found != integrity:
            others.add(name)
            text = text.replace(integrity, found)
    index.write_text(text, encoding="utf-8")
    return others


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that does not log."""

    def log_message(self, *_):
        pass


@pytest.fixture
def address(site):
    """Address at which the page is served."""
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def visit(address, packages, folder):
    """What a browser sees of the page, and its screenshot in `folder`."""
    settings = {
        "packages": str(packages),
        "chromium": need("chromium", "install it with the system's packages: apt-get install chromium"),
        "url": address,
        "libraries": {name: str(packages / place) for name, place in LIBRARIES.items()},
        "benchmark": BENCHMARK,
        "screenshot": str(folder / "page.png"),
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    command = (need("node", "install Node.js 20 or newer"), Path(__file__).with_name("page.mjs"))
    child = run(*command, folder / "settings.json", cwd=folder, environ=environment(Path.home()))
    return json.loads(child.stdout.splitlines()[-1])


def test_a_benchmarks_curve_and_legend_are_drawn(site, packages, address, tmp_path, capsys):
    assert trust(site / "index.html", packages) == OTHER_BYTES
    seen = visit(address, packages, tmp_path)
    with capsys.disabled():
        print(f"\nscreenshot: {tmp_path / 'page.png'}")
    assert not seen["refused"], f"the page asks the network for {seen['refused']}"
    assert (seen["errors"], seen["failed"]) == ([], [])
    assert sorted(seen["answered"]) == sorted(LIBRARIES)
    assert seen["title"] == BENCHMARK
    labels = [series["label"] for series in seen["series"]]
    assert all(labels) and len({*labels}) == len(labels) >= 2, labels
    measured = [series for series in seen["series"] if series["points"]]
    assert any(series["points"] > 1 for series in measured), "no curve: measure another commit"
    for series in measured:
        assert series["pixels"] > 0, series
        assert series["points"] == 1 or series["span"] > WIDER_THAN_A_POINT, series
    assert max(series["span"] for series in measured) > ACROSS
