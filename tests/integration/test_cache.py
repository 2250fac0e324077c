"""`lumienv cache` through the real program. The base is a Python of this machine: no container is needed."""

import json
import re
import sys

import pytest
from wheels import make_wheel

pytestmark = pytest.mark.once

THING = "thing-1.0-py3-none-any.whl"


@pytest.fixture
def project(local, wheels):
    """A project that needs one wheel."""
    make_wheel(wheels, "thing", "1.0", padding=200_000)
    local.write(f'host = "{sys.base_prefix}/bin/python3"', ["thing"])
    return local


def sizes(project) -> dict[str, int]:
    told = json.loads(project.lumienv("cache", "size", "--json"))
    assert told["cache"] == str(project.cache)
    assert told["size"] == sum(kind["size"] for kind in told["kinds"])
    return {kind["name"]: kind["size"] for kind in told["kinds"]}


def test_a_cleaned_cache_costs_a_download_and_no_environment(project, index):
    assert project.lumienv("cache", "dir") == f"{project.cache}\n"
    project.lumienv("sync")
    assert sizes(project)["wheels"] > 200_000
    assert re.search(r"^wheels +1 +2\d\d kB", project.lumienv("cache", "size"), re.MULTILINE)

    planned = project.lumienv("cache", "clean", "--wheels", "--dry-run")
    assert re.fullmatch(r"would remove 1 file, 2\d\d kB", planned.splitlines()[-1])
    assert project.lumienv("cache", "clean", "--wheels", "--older-than", "1") == "nothing to remove\n"
    cleaned = project.lumienv("cache", "clean", "--wheels")
    assert re.fullmatch(r"removed 1 file, 2\d\d kB", cleaned.splitlines()[-1])
    assert sizes(project)["wheels"] == 0
    assert sizes(project)["index"] > 0

    assert project.python("import thing; print(thing.__version__)") == "1.0"
    removed = json.loads(project.lumienv("cache", "clean", "--json"))
    assert removed["files"] > 0
    assert sum(sizes(project).values()) == 0
    assert project.python("import thing; print(thing.__version__)") == "1.0"
    index.requests.clear()
    project.lumienv("lock", "-U")
    assert "/simple/thing/" in index.paths()


def test_a_cache_is_not_cleaned_under_a_sync(project, index):
    project.lumienv("lock")
    index.stall[f"/files/{THING}"] = 100_000
    with project.start("sync") as syncing:
        while f"/files/{THING}" not in index.paths()[-1:] or not [*project.cache.glob("wheels/parts/*")]:
            assert syncing.poll() is None
        refused = project.try_("cache", "clean")
        assert refused.status == 1
        assert f"the cache is in use by another lumienv (process {syncing.pid} on " in refused.err
        assert "help: " in refused.err
        assert [*project.cache.glob("wheels/parts/*")] != []
        syncing.kill()
        syncing.communicate()
    project.lumienv("cache", "clean")
    assert [path for path in project.cache.rglob("*") if path.is_file() and ".part" not in path.name] == []
