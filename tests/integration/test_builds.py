"""Sources built in real images, with the compilers that are there and the backends of the real index."""

import json
import os
import sys
import zipfile

import pytest
from sources import commit, git, make_repository, make_sdist, tiny_project, write_tree

from lumienv.build.builder import SourceBuilder
from lumienv.errors import BrokenReleaseError, PackageIndexError
from lumienv.image.base import host_base, sif_base
from lumienv.image.probing import take_snapshot
from lumienv.index.client import IndexClient
from lumienv.index.config import default_index
from lumienv.index.pages import File
from lumienv.index.wheelhouse import Wheelhouse
from lumienv.manifest import Source
from lumienv.runtime import Bind, Surroundings, closed_capture
from lumienv.runtime.host import Host
from lumienv.runtime.singularity import find

pytestmark = pytest.mark.unprivileged

SETUPTOOLS = '[build-system]\nrequires = ["setuptools>=64"]\nbuild-backend = "setuptools.build_meta"\n'
SCM = (
    SETUPTOOLS.replace('"]', '", "setuptools-scm>=8"]')
    + '[project]\nname = "versioned"\ndynamic = ["version"]\n[tool.setuptools]\npy-modules = ["versioned"]\n'
    "[tool.setuptools_scm]\n"
)

# An extension that says which compiler made it, and what its setup.py found around it.
EXTENSION = r"""
#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyObject *facts(PyObject *self, PyObject *none) {
    return Py_BuildValue("ss", __VERSION__, FOUND);
}
static PyMethodDef methods[] = {{"facts", facts, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", NULL, -1, methods};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&module); }
"""
SETUP = """
import json, os, socket
import torch
from setuptools import Extension, setup
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
    network = "reached"
except OSError as error:
    network = error.strerror
found = [torch.__version__, os.environ["CC"], os.environ["CXX"], network, os.environ.get("SECRET", "unset"),
         os.path.exists(%r)]
setup(name="fast", version="1.0", ext_modules=[
    Extension("fast", ["fast.c"], define_macros=[("FOUND", json.dumps(json.dumps(found)))])])
"""


@pytest.fixture(scope="session")
def real_index(require, tmp_path_factory):
    """The package index that this machine is configured with."""
    folder = tmp_path_factory.mktemp("index")
    source = default_index(folder)
    with IndexClient([source], cache=folder) as client:
        try:
            page = client.page("setuptools").result()
        except PackageIndexError:
            page = None
    require(page is not None, "no package index with setuptools can be reached from here")
    return source


@pytest.fixture
def builder_for(real_index, cache, tmp_path):
    """Makes builders for a base; a path ends in .sif, a host base is a Python."""
    clients = []

    def make(base, **options):
        contained = str(base).endswith(".sif")
        runtime = find(os.environ) if contained else Host()
        snapshot = take_snapshot(sif_base(base) if contained else host_base(base), "auto", runtime, cache)
        client = IndexClient([real_index], cache=cache / "index")
        clients.append(client)
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        wheelhouse = Wheelhouse(cache / "wheels", client)
        places = {"project": tmp_path, "cache": tmp_path / "cache", "scratch": scratch}
        return SourceBuilder(snapshot, client, wheelhouse, **places, runtime=runtime, **options)

    yield make
    for client in clients:
        client.close()


def sdist(folder, name, version, files):
    path = make_sdist(folder, name, version, files)
    return File(path.name, path.as_uri())


def said_in(image, wheel, cache, code, tmp_path):
    """What a program prints that sees the unpacked wheel, in the image."""
    with zipfile.ZipFile(wheel.path) as archive:
        archive.extractall(tmp_path / "unpacked")
    runtime = find(os.environ)
    snapshot = take_snapshot(sif_base(image), "auto", runtime, cache)
    around = Surroundings(binds=(Bind(str(tmp_path / "unpacked"), "/unpacked"),))
    program = f"import sys; sys.path.insert(0, '/unpacked'); {code}"
    done = closed_capture(
        runtime, str(image), [snapshot.python.executable, "-c", program], around, inherited=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("image", ["pytorch", "multitorch"])
def test_an_extension_is_compiled_with_the_images_compiler_against_the_images_torch(
    lab, builder_for, cache, tmp_path, monkeypatch, image
):
    monkeypatch.setenv("SECRET", "s3cret")
    files = {"pyproject.toml": SETUPTOOLS, "fast.c": EXTENSION, "setup.py": SETUP % str(tmp_path)}
    builder = builder_for(lab.images[image])
    file = sdist(tmp_path, "fast", "1.0", files)

    metadata = builder.sdist_metadata(file)
    wheel = builder.wheel("fast", file)

    assert metadata.version == "1.0"
    assert wheel.filename.endswith("-linux_x86_64.whl")
    compiler, found = said_in(
        lab.images[image], wheel, cache, "import fast; print(*fast.facts(), sep='\\n')", tmp_path
    ).splitlines()
    torch, cc, cxx, network, secret, sees_the_host = json.loads(found)
    assert "+rocm" in torch
    assert cc.startswith("gcc-")
    assert compiler.startswith(cc.removeprefix("gcc-"))
    assert cxx == cc.replace("gcc", "g++")
    assert network == "Network is unreachable"
    assert secret == "unset"
    assert sees_the_host is False


def test_a_build_in_the_image_that_fails_says_what_the_compiler_said(lab, builder_for, tmp_path):
    files = {
        "pyproject.toml": SETUPTOOLS,
        "fast.c": "#include <nowhere/hip.h>\n",
        "setup.py": "from setuptools import Extension, setup\n"
        'setup(name="fast", version="1.0", ext_modules=[Extension("fast", ["fast.c"])])\n',
    }
    builder = builder_for(lab.images["pytorch"])

    with pytest.raises(BrokenReleaseError) as caught:
        builder.wheel("fast", sdist(tmp_path, "fast", "1.0", files))

    assert any("fatal error: nowhere/hip.h: No such file" in fact for fact in caught.value.facts)
    assert "the image has no nowhere/hip.h" in caught.value.hint
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("base", ["image", "host"])
def test_a_repository_whose_version_is_in_its_tags_is_built_from_its_history(
    lab, builder_for, tmp_path, base
):
    upstream = tmp_path / "upstream"
    make_repository(upstream, {"pyproject.toml": SCM, "versioned.py": ""})
    git(upstream, "tag", "-a", "-m", "release", "v1.2.0")
    commit(upstream, {"versioned.py": "x = 1\n"})
    head = commit(upstream, {"versioned.py": "x = 2\n"})
    builder = builder_for(lab.images["pytorch"] if base == "image" else sys.executable)

    direct = builder.direct("versioned", Source("git", upstream.as_uri()), None)
    wheel = builder.wheel("versioned", direct.origin)

    assert direct.origin.commit == head
    assert str(direct.version).startswith("1.2.1.dev2+g")
    assert wheel.version == str(direct.version)


def test_an_editable_folder_is_built_in_the_image_and_records_its_own_path(lab, builder_for, tmp_path):
    project = write_tree(
        tmp_path / "mylib",
        {
            "pyproject.toml": SETUPTOOLS + '[project]\nname = "mylib"\nversion = "0.1"\n',
            "src/mylib/__init__.py": "",
        },
    )
    builder = builder_for(lab.images["pytorch"])

    direct = builder.direct("mylib", Source("path", "mylib", editable=True), None)
    wheel = builder.wheel("mylib", direct.origin)

    with zipfile.ZipFile(wheel.path) as archive:
        (pth,) = [name for name in archive.namelist() if name.endswith(".pth")]
        assert archive.read(pth).decode().strip() == str(project / "src")


@pytest.mark.parametrize(
    ("backend", "requires"),
    [("flit_core.buildapi", "flit_core>=3.8"), ("hatchling.build", "hatchling>=1.20")],
)
def test_other_backends_build_in_the_image_too(lab, builder_for, tmp_path, backend, requires):
    files = {
        "pyproject.toml": f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{backend}"\n'
        '[project]\nname = "plain"\nversion = "2.0"\ndescription = "plain"\n',
        "plain/__init__.py": '"""Plain."""\n__version__ = "2.0"\n',
    }
    wheel = builder_for(lab.images["multitorch"]).wheel("plain", sdist(tmp_path, "plain", "2.0", files))
    assert wheel.filename.endswith("-none-any.whl")


def test_a_folder_is_built_in_the_image_and_not_written_to(lab, builder_for, tmp_path):
    project = write_tree(tmp_path / "mylib", tiny_project("mylib"))
    before = sorted(path.name for path in project.iterdir())
    builder = builder_for(lab.images["pytorch"])

    direct = builder.direct("mylib", Source("path", "./mylib"), None)
    wheel = builder.wheel("mylib", direct.origin)

    assert wheel.version == "1.0"
    assert sorted(path.name for path in project.iterdir()) == before
    assert list((tmp_path / "scratch").iterdir()) == []
