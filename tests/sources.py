"""Small source trees and archives for tests, and a build backend that they carry with them.

The backend needs nothing but the standard library, so that a tree can be built without any index.
"""

import io
import json
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Builds a wheel of one module; what it is to do stands in tiny.json. `import torch` and the like are tried
# while it builds, and what was found is written into the module.
BACKEND = """
import base64, hashlib, importlib, json, os, sys, zipfile

with open("tiny.json") as file:
    tiny = json.load(file)
for module in tiny.get("imports", []):
    importlib.import_module(module)
if tiny.get("fails"):
    print("compiling", file=sys.stderr)
    sys.exit("error: " + tiny["fails"])


def get_requires_for_build_wheel(config_settings=None):
    return tiny.get("wanted", [])


def metadata():
    lines = ["Metadata-Version: 2.1", "Name: " + tiny["name"], "Version: " + tiny["version"]]
    lines += ["Requires-Dist: " + line for line in tiny.get("requires", [])]
    return "\\n".join(lines) + "\\n"


def write_wheel(folder, files):
    stem = tiny["name"].replace("-", "_") + "-" + tiny["version"]
    info = stem + ".dist-info/"
    files = dict(files)
    files[info + "METADATA"] = metadata()
    files[info + "WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\\n" % (path, digest, len(text.encode()))
    files[info + "RECORD"] = record + info + "RECORD,,\\n"
    with zipfile.ZipFile(os.path.join(folder, stem + "-py3-none-any.whl"), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return stem + "-py3-none-any.whl"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    for module in tiny.get("late_imports", []):
        importlib.import_module(module)
    with open("left-by-the-build", "w") as file:
        file.write("built")
    facts = {name: os.environ.get(name) for name in ("CC", "CXX", "HOME", "SECRET")}
    imported = {name: sys.modules[name] for name in tiny.get("imports", [])}
    facts["versions"] = {name: getattr(module, "__version__", None) for name, module in imported.items()}
    facts["files"] = sorted(os.listdir("."))
    return write_wheel(wheel_directory, {tiny["name"].replace("-", "_") + ".py": "facts = %r\\n" % facts})


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return write_wheel(wheel_directory, {"_tiny.pth": os.getcwd() + "\\n"})


if tiny.get("prepares"):

    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        folder = os.path.join(metadata_directory, "tiny.dist-info")
        os.mkdir(folder)
        with open(os.path.join(folder, "METADATA"), "w") as file:
            file.write(metadata())
        return "tiny.dist-info"
"""


def tiny_project(
    name: str = "tiny",
    version: str = "1.0",
    requires: Sequence[str] = (),
    *,
    build_requires: Sequence[str] = (),
    **behaviour: object,
) -> dict[str, str]:
    """The files of a project whose backend lies in it; `behaviour` as in the backend above."""
    tiny = {"name": name, "version": version, "requires": list(requires), **behaviour}
    return {
        "pyproject.toml": f"[build-system]\nrequires = {json.dumps(list(build_requires))}\n"
        'build-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": BACKEND,
        "tiny.json": json.dumps(tiny),
    }


def stated_project(name: str = "tiny", version: str = "1.0", *dependencies: str) -> dict[str, str]:
    """The files of a project that states everything, and whose backend does not exist."""
    return {
        "pyproject.toml": f"[project]\nname = {json.dumps(name)}\nversion = {json.dumps(version)}\n"
        f"dependencies = {json.dumps(dependencies)}\n"
        '[build-system]\nrequires = []\nbuild-backend = "nowhere"\n'
    }


def write_tree(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files below `folder`, and return it."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def make_sdist(directory: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """`<name>-<version>.tar.gz` with the files below one folder."""
    path = directory / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for inside, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{inside}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def make_zip(path: Path, files: Mapping[str, str]) -> Path:
    """A zip file with the files as they are named."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return path


def git(folder: Path, *words: str) -> str:
    """What git prints, without this user's configuration."""
    identity = {
        f"GIT_{role}_{what}": "x@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **identity},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_repository(folder: Path, files: Mapping[str, str]) -> str:
    """A git repository with one commit, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet")
    return commit(folder, files)


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Commit the files, and return the commit."""
    write_tree(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "a change")
    return git(folder, "rev-parse", "HEAD")
