"""Make docs/images/tree.png: the page of the small project of tests/graphs.py, in a real browser.

Usage: python tests/docs_picture.py, after a change of the page's looks.
"""

import tempfile
from pathlib import Path

from browser import browser
from graphs import small_project
from index_server import IndexServer
from workspace import make_workspace

TARGET = Path(__file__).parents[1] / "docs" / "images" / "tree.png"


def main() -> None:
    with tempfile.TemporaryDirectory() as name, browser(Path(name)) as window:
        folder = Path(name)
        (folder / "wheels").mkdir()
        with IndexServer(folder / "wheels", sidecars=True) as server:
            project = make_workspace(folder / "project", folder / "cache", PIP_INDEX_URL=server.url)
            small_project(project, folder / "wheels")
            project.lumienv("lock")
            project.lumienv("tree", "--html", "tree.html")
        window.resize(1320, 690)
        window.open(project.directory / "tree.html", "#package-numpy")
        window.run("scrollTo(0, 0)")
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_bytes(window.screenshot())
        print(f"{TARGET}: {TARGET.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
