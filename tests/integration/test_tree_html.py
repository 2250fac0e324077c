"""`lumienv tree --html` in a real browser: what is seen, what a reader can do, and what may not happen."""

import json
import re
import shutil
import subprocess

import graphs
import pytest
from browser import OPTIONS, browser
from index_server import IndexServer
from wheels import make_wheel
from workspace import make_workspace

pytestmark = pytest.mark.once

EVIL = "</script><img src=x onerror=alert(1)>\"'\u202e\u05d0\u05d1"


@pytest.fixture(scope="module")
def chromium(require):
    require(
        shutil.which("chromium") is not None and shutil.which("chromedriver") is not None,
        "no chromium or chromedriver here: run tests/lab/install-tools.sh as root",
    )


@pytest.fixture(scope="module")
def window(chromium, tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(window):
    """A window of its usual size that has complained of nothing at the end of the test."""
    window.resize(1400, 900)
    window.prefer("light")
    yield window
    assert window.complaints() == []
    assert {address for address in window.requests() if not address.startswith("file:")} == set()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of the small and the large project of tests/graphs.py."""

    def made(name, make):
        folder = tmp_path_factory.mktemp(name)
        with IndexServer(folder, sidecars=True) as server:
            project = make_workspace(folder / "project", folder / "cache", PIP_INDEX_URL=server.url)
            make(project, folder)
            project.lumienv("lock")
        return written(project)

    return {"small": made("small", graphs.small_project), "large": made("large", graphs.large_project)}


@pytest.fixture
def small_page(pages):
    return pages["small"]


@pytest.fixture
def large_page(pages):
    return pages["large"]


def written(project, *words):
    project.lumienv("tree", "--html", "tree.html", *words)
    return project.directory / "tree.html"


def overlapping(window):
    """Boxes that touch, words that leave their box, and wires that go through a box they do not join."""
    return window.run(
        """
        const boxes = [...document.querySelectorAll('.box')]
          .map(box => [box, box.querySelector('rect').getBBox()]);
        const apart = (a, b) => a.x + a.width <= b.x || b.x + b.width <= a.x
          || a.y + a.height <= b.y || b.y + b.height <= a.y;
        const points = (path) => {
          const all = [];
          let x, y;
          for (const [, letter, rest] of path.matchAll(/([MCH])([^MCH]*)/g)) {
            const to = rest.trim().split(' ').map(Number);
            for (let part = 0; part <= 1; part += 1 / 32) {
              const left = 1 - part, a = left ** 3, b = 3 * part * left ** 2, c = 3 * part ** 2 * left;
              if (letter === 'C') all.push([a * x + b * to[0] + c * to[2] + part ** 3 * to[4],
                                            a * y + b * to[1] + c * to[3] + part ** 3 * to[5]]);
              if (letter === 'H') all.push([x + part * (to[0] - x), y]);
            }
            [x, y] = letter === 'H' ? [to[0], y] : to.slice(-2);
          }
          return all;
        };
        const found = [];
        boxes.forEach(([box, rect], at) => {
          for (const [other, area] of boxes.slice(at + 1)) {
            if (!apart(rect, area)) found.push(`${box.dataset.box} lies on ${other.dataset.box}`);
          }
          for (const text of box.querySelectorAll('text')) {
            const words = text.getBBox();
            if (words.x < rect.x + 4 || words.x + words.width > rect.x + rect.width - 4)
              found.push(`${text.textContent} leaves its box`);
          }
        });
        for (const wire of document.querySelectorAll('.wire')) {
          const joined = [wire.dataset.from, wire.dataset.to];
          for (const [x, y] of points(wire.getAttribute('d'))) {
            for (const [box, rect] of boxes) {
              if (!joined.includes(box.dataset.box) && x > rect.x && x < rect.x + rect.width
                  && y > rect.y && y < rect.y + rect.height)
                found.push(`the wire ${joined} goes through ${box.dataset.box}`);
            }
          }
        }
        return [...new Set(found)];
        """
    )


def names(window, selector):
    return sorted(
        window.run(
            "return [...document.querySelectorAll(arguments[0])].map(box => "
            "box.querySelector('.name').textContent)",
            selector,
        )
    )


# -- what is seen ------------------------------------------------------------------------------------------


def test_a_page_that_is_only_printed_has_run_its_script(chromium, small_page, tmp_path):
    done = subprocess.run(
        ["chromium", *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", small_page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert '<html lang="en" class="scripted">' in done.stdout
    assert '<div class="tools" id="tools">' in done.stdout
    assert len(re.findall(r'<th scope="col"[^>]*><button type="button">', done.stdout)) == 5


def test_lines_packages_and_what_is_of_the_image_are_told_apart(page, small_page):
    page.open(small_page)
    assert names(page, ".box.line") == ["datasets[audio]>=3", "h5py>=3.11", "pytest", "triton", "xarray[io]"]
    assert names(page, ".box.image") == ["numpy", "pytorch-triton-rocm", "torch", "xarray"]
    assert names(page, ".box.replaces") == ["dill"]
    assert len(names(page, ".box.overlay")) == 10
    assert page.texts(".picture .heading") == ["your lines", "packages", "from the image"]
    totals = dict(zip(page.texts(".totals dt"), page.texts(".totals dd"), strict=True))
    assert totals["packages in the overlay"] == "10"
    assert totals["of the image relied on"] == "4"
    assert totals["replaced in the image"] == "1"
    assert totals["to download"].endswith(" MB")


def test_nothing_in_the_picture_lies_on_something_else(page, small_page, large_page):
    for shown, packages in ((small_page, 14), (large_page, 150)):
        page.open(shown)
        assert page.count(".box.overlay") + page.count(".box.image") == packages
        assert overlapping(page) == []


@pytest.mark.parametrize("width", [390, 760, 1400])
def test_the_page_is_never_wider_than_its_window(page, small_page, width):
    page.resize(width, 844)
    page.open(small_page)
    assert page.run("return document.documentElement.scrollWidth") == width


def test_colours_follow_what_the_reader_prefers(page, small_page):
    page.open(small_page)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    page.prefer("dark")
    assert page.run(ground) != light


def test_without_scripting_there_are_picture_and_table_and_nothing_that_does_nothing(page, small_page):
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    page.open(small_page)
    page.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert page.count(".box") == 19
    assert page.count("tbody tr") == 14
    seen = (
        "return [...document.querySelectorAll('button, input')].filter(e => e.getClientRects().length).length"
    )
    assert page.run(seen) == 0


def test_on_paper_there_is_no_tool_and_the_whole_picture(page, small_page):
    page.open(small_page)
    assert page.printed().startswith(b"%PDF")
    page.devtools("Emulation.setEmulatedMedia", media="print")
    seen = page.run(
        "const board = document.getElementById('board'); return [board.scrollWidth - board.clientWidth, "
        "document.getElementById('tools').getClientRects().length]"
    )
    page.devtools("Emulation.setEmulatedMedia", media="screen")
    assert seen == [0, 0]


# -- what a reader can do ----------------------------------------------------------------------------------


def test_a_click_shows_what_needs_a_package_what_it_needs_and_why_it_is_there(page, small_page):
    page.open(small_page)
    page.click('.box[href="#package-soundfile"]')
    assert names(page, ".box.chosen") == ["soundfile"]
    assert {"datasets", "datasets[audio]>=3"} <= set(names(page, ".box.up"))
    assert names(page, ".box.down") == ["numpy"]
    [panel] = page.texts("#chosen")
    assert panel.splitlines()[1] == "soundfile"
    assert re.search(r"version\s+0\.13\.1\s+origin\s+overlay\s+size\s+1\.3 MB to download", panel)
    assert re.search(r"Why it is there\s+datasets\[audio\]>=3\s*→\s*datasets\s*→\s*soundfile", panel)
    assert page.run("return location.hash") == "#package-soundfile"
    page.click("#chosen .close")
    assert page.count(".chosen") == 0


def test_a_click_on_a_line_tells_what_it_brings_in(page, small_page):
    page.open(small_page)
    page.click('.box.line[data-box="1"]')
    [panel] = page.texts("#chosen")
    assert re.search(
        r"where\s+lumienv.toml:3\s+brings in\s+1 of the overlay, 2\.9 MB\s+alone\s+0 of the overlay", panel
    )


def test_an_address_leads_to_a_package(page, small_page):
    page.open(small_page, "#package-dill")
    assert names(page, ".box.chosen") == ["dill"]
    assert "the image's 0.3.8" in page.texts("#chosen")[0]


def test_search_marks_what_it_finds_and_enter_chooses_it(page, large_page):
    page.open(large_page)
    wanted = page.texts("tbody th")[100]
    page.type("#search", wanted.upper())
    found = names(page, ".box.found")
    assert wanted in found
    assert all(wanted in name for name in found)
    assert set(page.texts("tbody tr:not([hidden]) th")) == set(found)
    page.type("#search", "Enter")
    assert names(page, ".box.chosen")[0] in found
    seen = page.run(
        "const box = document.querySelector('.box.chosen').getBoundingClientRect(), "
        "frame = document.getElementById('board').getBoundingClientRect();"
        "return box.left >= frame.left && box.right <= frame.right"
        " && box.top >= frame.top && box.bottom <= frame.bottom"
    )
    assert seen
    page.press("Escape")
    assert page.count("tbody tr[hidden], .found, .chosen") == 0


def test_the_table_sorts_by_each_column_both_ways(page, small_page):
    page.open(small_page)
    page.click("th[data-sort=size] button")
    assert page.texts("tbody th")[:2] == ["pyarrow", "h5py"]
    assert page.run("return document.querySelector('th[data-sort=size]').ariaSort") == "descending"
    page.click("th[data-sort=size] button")
    assert page.texts("tbody th")[-1] == "pyarrow"
    page.click("th[data-sort=version] button")
    versions = page.texts("tbody td:nth-child(2)")
    assert versions.index("2.7.1+rocm6.2.4") < versions.index("2.18.7") < versions.index("18.1.0")
    page.click("th[data-sort=needed-by] button")
    assert page.texts("tbody th")[0] == "numpy"
    page.click("th[data-sort=package] button")
    assert page.texts("tbody th") == sorted(page.texts("tbody th"))


def test_the_keyboard_alone_is_enough(page, small_page):
    page.open(small_page)
    page.run("document.querySelector('.box.line').focus()")
    page.press("ArrowRight")
    page.press("Enter")
    assert names(page, ".box.chosen") == ["datasets"]
    page.press("ArrowLeft")
    page.press("Enter")
    assert names(page, ".box.chosen") == ["datasets[audio]>=3"]
    page.press("Escape")
    page.press("/")
    assert page.run("return document.activeElement.id") == "search"


def test_the_picture_grows_shrinks_and_is_moved_by_the_mouse(page, large_page):
    page.open(large_page)
    width = "return document.querySelector('.picture').getBoundingClientRect().width"
    page.click("#fit")
    small = page.run(width)
    page.click("#natural")
    natural = page.run(width)
    page.click("#larger")
    assert small < natural < page.run(width)
    page.drag("#board", -200, -100)
    assert page.run("return document.getElementById('board').scrollLeft") >= 200
    assert page.count(".chosen") == 0  # whoever drags has chosen nothing


# -- what may not happen -----------------------------------------------------------------------------------


def test_what_a_hostile_clone_brings_along_stays_text(page, local, wheels):
    graphs.small_project(local, wheels)
    local.lumienv("lock")
    snapshot = local.directory / "image.json"
    text = snapshot.read_text()
    evil = json.dumps(EVIL)[1:-1]
    snapshot.write_text(text.replace('"2.7.1+rocm6.2.4"', f'"{evil}"').replace('"conda"', f'"{evil}"'))
    lock = local.lock_path.read_text()
    toml = json.dumps(EVIL, ensure_ascii=False)
    lock = re.sub(r'(name = "torch"\nversion = )".*"', lambda found: found[1] + toml, lock)
    lock = re.sub(r'(\[tool.lumienv.image\]\nname = )".*"', lambda found: found[1] + toml, lock)
    lock = re.sub(r'index = ".*"', lambda _: f"index = {toml}", lock)
    local.lock_path.write_text(lock)
    manifest = (local.directory / "lumienv.toml").read_text()
    line = "h5py>=3.11 ; platform_release != '<img src=x onerror=alert(1)>'"
    (local.directory / "lumienv.toml").write_text(manifest.replace("h5py>=3.11", line))

    page.open(written(local))

    assert page.count("img, iframe, object, body script:not([id]):not(:last-child)") == 0
    visible = EVIL.replace("\u202e", "")
    assert visible in page.texts("h1 + p")[0]
    assert page.texts("#package-torch td")[0] == visible
    page.click('.box[href="#package-torch"]')
    assert visible in page.texts("#chosen")[0]
    page.click('.box[href="#package-numpy"]')
    assert f"by {visible}" in page.texts("#chosen")[0]
    assert overlapping(page) == []


def test_the_page_forbids_itself_to_load_anything(window, small_page):
    window.open(small_page)
    window.run("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    window.run(
        "const tag = document.createElement('script'); tag.textContent = 'window.broken = 1';"
        "document.body.append(tag)"
    )
    assert window.run("return window.broken === undefined")
    assert len([line for line in window.complaints() if "Content Security Policy" in line]) == 2


# -- on a real image ---------------------------------------------------------------------------------------


def test_a_project_on_the_pytorch_image_shows_its_packages_and_what_is_installed(page, lab, local, wheels):
    make_wheel(wheels, "trainer", "1.0", ["torch", "numpy", "reader"])
    make_wheel(wheels, "reader", "2.0", ["numpy"], padding=50_000)
    local.write(f'path = "{lab.images["pytorch"]}"', ["trainer"])
    local.lumienv("sync")
    page.open(written(local))
    assert names(page, ".box.overlay") == ["reader", "trainer"]
    assert names(page, ".box.image") == ["numpy", "torch"]
    installed = [text for text in page.texts(".totals dt") if text.startswith("installed")]
    assert re.fullmatch(r"installed \(venv, \d+ files\)", installed[0])
    assert "rocm" in page.texts("#package-torch td")[0]
    page.click('.box[href="#package-numpy"]')
    assert (
        "trainer → reader → numpy" in page.texts("#chosen")[0].replace("\n", " ") or page.count(".chain") >= 1
    )

    everything = make_workspace(local.directory, local.cache, LUMIENV_RUNTIME="/bin/false")
    everything.lumienv("tree", "--html", "all.html", "--package", "torch")
    page.open(local.directory / "all.html")
    assert "torch" in names(page, ".box.image")
    assert overlapping(page) == []
