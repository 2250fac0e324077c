"""The probe, run for real: with interpreters of this machine, and through the shell that enters an image."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import packaging
import pytest
from interpreters import each_interpreter, skip_where_packaging_does_not_run

from lumienv.errors import ImageError, LumienvError
from lumienv.image import probe
from lumienv.image.base import host_base
from lumienv.image.probe import MARK
from lumienv.image.probing import probe_source, take_snapshot
from lumienv.image.snapshot import Base, ImageScript, Snapshot
from lumienv.runtime import Command, Surroundings
from lumienv.runtime.host import Host
from lumienv.runtime.process import answered

PEP_508 = {
    *("implementation_name", "implementation_version", "os_name", "platform_machine"),
    *("platform_python_implementation", "platform_release", "platform_system", "platform_version"),
    *("python_full_version", "python_version", "sys_platform"),
}

OF_THE_KERNEL = ("platform_release", "platform_version")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("PYTHON", "LUMIENV_", "CONDA")) or name in ("CC", "CXX", "WITH_CONDA"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module", params=each_interpreter())
def venv(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of each version, with distributions of every kind in it."""
    _, interpreter = request.param
    root = tmp_path_factory.mktemp("venv") / "env"
    subprocess.run([interpreter, "-m", "venv", "--without-pip", str(root)], check=True)
    (site,) = root.glob("lib/python3*/site-packages")
    write_distributions(root, site)
    return root


def write_distributions(root: Path, site: Path) -> None:
    modern = site / "Modern_Thing-1.0.dist-info"
    modern.mkdir()
    (modern / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: Modern_Thing\nVersion: 1.0\nSummary: naïve\n  folded\n"
        "Requires-Dist: numpy>=1.20\nRequires-Dist: scipy ; extra == 'fast'\nProvides-Extra: fast\n\n"
        "Requires-Dist: not-a-header\n",
        encoding="utf-8",
    )
    (modern / "RECORD").write_text(
        "modern/__init__.py,,\nmodern/deep.py,,\n_modern.cpython-312-x86_64-linux-gnu.so,,\n"
        "single.py,,\n../../../bin/modern,,\nModern_Thing-1.0.dist-info/METADATA,,\n"
    )
    (modern / "INSTALLER").write_text("pip\n")
    (modern / "entry_points.txt").write_text(
        "[console_scripts]\nmodern = modern.cli:main [fast]\n# a comment = nothing\n"
        "[gui_scripts]\nmodern-gui = modern:gui\n[other.plugins]\nx = y:z\n"
    )
    egg = site / "oldish-2.0-py3.egg-info"
    egg.mkdir()
    (egg / "PKG-INFO").write_text("Metadata-Version: 1.1\nName: oldish\nVersion: 2.0\n")
    (egg / "requires.txt").write_text('six\n\n[:python_version < "3"]\nfutures\n\n[extra]\nlxml>=4\n')
    (egg / "top_level.txt").write_text("oldish\n")
    (site / "ancient-0.1.egg-info").write_text("Metadata-Version: 1.0\nName: ancient\nVersion: 0.1\n")
    broken = site / "broken-3.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\n")
    (site / "empty-4.dist-info").mkdir()
    for name, line in (("tool", f"{root}/bin/python"), ("quoted", "/bin/sh"), ("other", "/bin/sh")):
        text = f"#!{line}\n"
        if name == "quoted":
            text += f"'''exec' \"{root}/bin/python\" \"$0\" \"$@\"\n' '''\n"
        (root / "bin" / name).write_text(text + "print('here')\n")
        (root / "bin" / name).chmod(0o755)


@pytest.fixture
def snapshot(venv: Path) -> Snapshot:
    return take_snapshot(host_base(str(venv / "bin" / "python")), "auto", Host(), None)


def ask(python: Path, program: str, *words: str) -> str:
    done = subprocess.run([str(python), "-Ic", program, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_probe_tells_what_the_interpreter_says_of_itself(venv: Path, snapshot: Snapshot) -> None:
    program = "import sys, platform, json; print(json.dumps([platform.python_version(), sys.prefix, {}]))"
    version, prefix, base = json.loads(ask(venv / "bin" / "python", program.format("sys.base_prefix")))
    python = snapshot.python
    assert (python.version, python.prefix, python.base_prefix) == (version, prefix, base)
    assert Path(python.executable).parent == Path(python.bin) == venv / "bin"
    assert python.implementation == "cpython"
    assert [Path(entry).name for entry in python.site_packages] == ["site-packages"]
    assert python.site_packages[0].startswith(str(venv))


def test_what_an_images_own_pythonpath_leads_to_is_read_whatever_its_kind(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "bin").mkdir()
    write_distributions(tmp_path, site)
    env = {
        "PATH": str(tmp_path / "bin"),
        "PYTHONPATH": f"{site}:{tmp_path / 'gone'}",
        "LUMIENV_PROBE_PARENT": str(os.getpid()),
        "LUMIENV_PROBE_KIND": "command",
        "LUMIENV_PROBE_COMMAND": "source /opt/enter",
        "CC": "gcc-9",
    }
    done = subprocess.run(
        [sys.executable, "-"], input=probe_source(), env=env, capture_output=True, text=True, check=True
    )
    facts = answered(MARK, done.stdout)
    assert facts is not None
    assert facts["python"]["site_packages"][0] == str(site)
    found = {one["name"]: one for one in facts["packages"] if one["location"] == str(site)}
    assert found.keys() == {"Modern_Thing", "oldish", "ancient"}
    modern = found["Modern_Thing"]
    assert (modern["extras"], modern["installer"]) == (["fast"], "pip")
    assert modern["modules"] == ["_modern", "modern", "single"]
    assert found["oldish"]["modules"] == ["oldish"]
    assert found["oldish"]["requires"] == [
        "six",
        'futures; (python_version < "3")',
        'lxml>=4; extra == "extra"',
    ]
    assert {"name": "modern", "entry": "modern.cli:main"} in facts["scripts"]
    assert facts["compilers"] == {"cc": "gcc-9"}
    activation = facts["activation"]
    assert (activation["kind"], activation["command"]) == ("command", "source /opt/enter")
    assert activation["after"]["PYTHONPATH"] == env["PYTHONPATH"]
    assert activation["before"].get("PYTHONPATH") != env["PYTHONPATH"], "those of the waiting process"


def test_every_marker_of_pep_508_is_there(snapshot: Snapshot) -> None:
    assert set(snapshot.markers) == PEP_508
    assert snapshot.markers["python_full_version"] == snapshot.python.version
    assert snapshot.python.version.startswith(snapshot.markers["python_version"] + ".")
    assert snapshot.markers["sys_platform"] == "linux"


def test_the_markers_are_those_that_packaging_finds_there(venv: Path, snapshot: Snapshot) -> None:
    skip_where_packaging_does_not_run(snapshot.python.version)
    program = (
        "import sys, json; sys.path.insert(0, sys.argv[1])\n"
        "from packaging.markers import default_environment\n"
        "print(json.dumps(default_environment()))"
    )
    library = str(Path(packaging.__file__).parents[1])
    found = json.loads(ask(venv / "bin" / "python", program, library))
    assert found == {**snapshot.markers, **{key: found[key] for key in OF_THE_KERNEL}}


def test_the_kernel_which_differs_from_node_to_node_decides_no_marker(snapshot: Snapshot) -> None:
    assert {snapshot.markers[key] for key in OF_THE_KERNEL} == {""}


def test_the_first_tag_is_of_this_very_python(snapshot: Snapshot) -> None:
    short = snapshot.markers["python_version"].replace(".", "")
    assert snapshot.tags[0].startswith(f"cp{short}-cp{short}")
    assert "py3-none-any" in snapshot.tags


MUSL = "musl libc (x86_64)\nVersion 1.2.5\nDynamic Program Loader\nUsage: ld.so [options]\n"


@pytest.mark.parametrize(
    ("says", "version"), [(MUSL, "1.2"), ("Version 1.2\n", ""), ("not found\n", ""), (None, "")]
)
def test_musl_is_asked_for_its_version_by_its_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, version: str
) -> None:
    def no_glibc(_: str) -> str:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", no_glibc)
    monkeypatch.setattr(probe, "MUSL_LOADERS", str(tmp_path / "ld-musl-*.so.1"))
    (tmp_path / "ld-musl-broken.so.1").write_text("")
    if says is not None:
        loader = tmp_path / "ld-musl-x86_64.so.1"
        loader.write_text(f"#!/bin/sh\nprintf '%s' '{says}' >&2\nexit 1\n")
        loader.chmod(0o755)
    assert probe.abi_facts()["libc"] == (["musl", version] if version else ["", ""])


def test_the_frozen_list_has_every_kind_of_distribution(snapshot: Snapshot) -> None:
    found = {package.name: package for package in snapshot.packages}
    assert set(found) == {"Modern_Thing", "oldish", "ancient"}
    modern = found["Modern_Thing"]
    assert (modern.version, modern.installer) == ("1.0", "pip")
    assert modern.requires == ("numpy>=1.20", "scipy ; extra == 'fast'")
    assert modern.extras == ("fast",)
    assert modern.modules == ("_modern", "modern", "single")
    assert modern.location == snapshot.python.site_packages[0]
    oldish = found["oldish"]
    assert oldish.requires[0] == "six"
    assert [line.replace(" ", "") for line in oldish.requires[1:]] == [
        'futures;(python_version<"3")',
        'lxml>=4;extra=="extra"',
    ]
    assert oldish.modules == ("oldish",)


def test_the_requirements_are_those_that_importlib_reads(venv: Path, snapshot: Snapshot) -> None:
    if snapshot.python.version.startswith(("3.6", "3.7")):
        pytest.skip("importlib.metadata came with Python 3.8")
    program = (
        "import json, importlib.metadata as m\n"
        "print(json.dumps({n: [m.version(n), m.requires(n) or []] for n in ('Modern_Thing', 'ancient')}))"
    )
    expected = json.loads(ask(venv / "bin" / "python", program))
    found = {package.name: [package.version, list(package.requires)] for package in snapshot.packages}
    assert {name: found[name] for name in expected} == expected


def test_console_scripts_and_files_with_the_interpreters_shebang_are_found(
    venv: Path, snapshot: Snapshot
) -> None:
    assert sorted(snapshot.scripts, key=lambda script: script.name) == [
        ImageScript("modern", entry="modern.cli:main"),
        ImageScript("modern-gui", entry="modern:gui"),
        ImageScript("quoted", file=str(venv / "bin" / "quoted")),
        ImageScript("tool", file=str(venv / "bin" / "tool")),
    ]


def test_a_host_needs_no_activation(snapshot: Snapshot) -> None:
    activation = snapshot.activation
    assert (activation.kind, activation.set, activation.prepend_path) == ("none", {}, ())


# -- one interpreter is enough for what follows ----------------------------------------------------------


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A virtual environment's interpreter with one distribution, `numpy 1.26.4`."""
    subprocess.run(
        [shutil.which("python3") or "", "-m", "venv", "--without-pip", tmp_path / "env"], check=True
    )
    (site,) = (tmp_path / "env").glob("lib/python3*/site-packages")
    info = site / "numpy-1.26.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.26.4\n")
    return tmp_path / "env" / "bin" / "python"


def frozen(snapshot: Snapshot) -> list[str]:
    return [f"{package.name}=={package.version}" for package in snapshot.packages]


def test_the_users_pythonpath_and_user_site_are_not_seen(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "torch-9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9\n")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "base"))
    assert frozen(take_snapshot(host_base(str(python)), "auto", Host(), None)) == ["numpy==1.26.4"]


@pytest.mark.parametrize("module", ["json", "platform", "sysconfig"])
def test_files_in_the_folder_one_stands_in_are_not_run(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / f"{module}.py").write_text("raise SystemExit('run from the project')\n")
    monkeypatch.chdir(project)
    assert frozen(take_snapshot(host_base(str(python)), "auto", Host(), None)) == ["numpy==1.26.4"]


def test_of_two_distributions_with_one_name_the_first_on_the_path_counts(
    python: Path, tmp_path: Path
) -> None:
    late = tmp_path / "late"
    (late / "NumPy-0.1.dist-info").mkdir(parents=True)
    (late / "NumPy-0.1.dist-info" / "METADATA").write_text("Name: NumPy\nVersion: 0.1\n")
    (site,) = python.parents[1].glob("lib/python3*/site-packages")
    (site / "late.pth").write_text(f"{late}\n")
    assert frozen(take_snapshot(host_base(str(python)), "auto", Host(), None)) == ["numpy==1.26.4"]


# -- the cache -------------------------------------------------------------------------------------------


class StartsNothing(Host):
    """A machine on which whatever is started is a failure of the test."""

    def closed(self, *words: object, **rest: object) -> Command:
        raise AssertionError("a program was started")


def entry_of(cache: Path) -> Path:
    (entry,) = (cache / "snapshots").iterdir()
    return entry


def test_the_second_snapshot_starts_nothing(python: Path, tmp_path: Path) -> None:
    base = host_base(str(python))
    first = take_snapshot(base, "auto", Host(), tmp_path / "cache")
    assert take_snapshot(base, "auto", StartsNothing(), tmp_path / "cache") == first


def test_another_identity_or_activation_is_another_snapshot(python: Path, tmp_path: Path) -> None:
    base = host_base(str(python))
    take_snapshot(base, "auto", Host(), tmp_path / "cache")
    with pytest.raises(AssertionError, match="was started"):
        take_snapshot(base, "none", StartsNothing(), tmp_path / "cache")
    (site,) = python.parents[1].glob("lib/python3*/site-packages")
    (site / "six-1.dist-info").mkdir()
    with pytest.raises(AssertionError, match="was started"):
        take_snapshot(host_base(str(python)), "auto", StartsNothing(), tmp_path / "cache")


def test_the_cached_snapshot_has_the_path_at_which_the_image_lies_now(python: Path, tmp_path: Path) -> None:
    base = host_base(str(python))
    take_snapshot(base, "auto", Host(), tmp_path / "cache")
    moved = replace(base, kind="sif", path="/elsewhere/image.sif", name="image.sif", identity="sif:0")
    assert take_snapshot(moved, "auto", StartsNothing(), tmp_path / "cache").image == moved


@pytest.mark.parametrize("content", ["", "{", "{}", '{"schema": 1}', "null"])
def test_a_damaged_cache_entry_is_made_anew(python: Path, tmp_path: Path, content: str) -> None:
    base = host_base(str(python))
    first = take_snapshot(base, "auto", Host(), tmp_path / "cache")
    entry_of(tmp_path / "cache").write_text(content)
    assert take_snapshot(base, "auto", Host(), tmp_path / "cache") == first
    assert take_snapshot(base, "auto", StartsNothing(), tmp_path / "cache") == first


def test_a_cache_entry_that_was_changed_is_not_believed(python: Path, tmp_path: Path) -> None:
    """Trust: every entry is verified by digest when read."""
    base = host_base(str(python))
    first = take_snapshot(base, "auto", Host(), tmp_path / "cache")
    entry = entry_of(tmp_path / "cache")
    entry.write_text(entry.read_text().replace("1.26.4", "9.99.9"))
    assert take_snapshot(base, "auto", Host(), tmp_path / "cache") == first


def test_a_cache_folder_that_is_a_link_is_not_used(python: Path, tmp_path: Path) -> None:
    """Trust: symlinks are refused."""
    base = host_base(str(python))
    cache = tmp_path / "cache"
    first = take_snapshot(base, "auto", Host(), cache)
    entry = entry_of(cache)
    entry.write_text(entry.read_text().replace("1.26.4", "9.99.9"))
    (cache / "snapshots").rename(tmp_path / "planted")
    (cache / "snapshots").symlink_to(tmp_path / "planted")
    found = None
    with suppress(LumienvError):
        found = take_snapshot(base, "auto", Host(), cache)
    assert found in (None, first)


def test_the_cache_is_closed_to_others(python: Path, tmp_path: Path) -> None:
    take_snapshot(host_base(str(python)), "auto", Host(), tmp_path / "cache")
    entry = entry_of(tmp_path / "cache")
    assert (entry.stat().st_mode & 0o777, entry.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_cache_that_cannot_be_written_costs_only_time(python: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    assert frozen(take_snapshot(host_base(str(python)), "auto", Host(), tmp_path / "cache"))


# -- how an image is entered -----------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenImage:
    """Stands for a container: what is run in the image runs here, with the image's variables alone."""

    variables: Mapping[str, str] = field(default_factory=dict)
    flavour: str = "apptainer"

    def closed(
        self,
        base: str,
        command: Sequence[str],
        surroundings: Surroundings,
        *,
        inherited: Mapping[str, str],
        scratch: Path | None = None,
        network: bool = False,
    ) -> Command:
        return Command(tuple(command), {**surroundings.env, **self.variables}, unset=tuple(inherited))

    def launch(self, *words: object, **rest: object) -> Command:
        raise AssertionError("the probe is closed")


def enter(variables: Mapping[str, str], activate: str = "auto") -> Snapshot:
    return take_snapshot(
        Base("sif", "/image.sif", "image.sif", "sif:0"), activate, OpenImage(variables), None
    )


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A PATH with a shell, and no Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("sh", "bash", "cat", "env"):
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"there is no {name} here")
        (folder / name).symlink_to(found)
    return str(folder)


@pytest.fixture
def activation(tmp_path: Path, python: Path) -> str:
    """A command that activates an environment as conda does."""
    script = tmp_path / "activate it"
    script.write_text(
        f'export PATH="{python.parent}:$PATH" CONDA_PREFIX="{python.parents[1]}" CONDA_DEFAULT_ENV="$1"\n'
        'export NASTY=\'a "b" $(c) `d`\ntwo lines\'\nexport CHANGED="$CHANGED:more"\nlocal_only=1\n'
    )
    return f"source '{script}' 'my env'"


def test_a_python_on_the_path_needs_no_activation(python: Path, tools: str) -> None:
    snapshot = enter({"PATH": f"{python.parent}:{tools}", "WITH_CONDA": "true", "KEPT": "x"})
    assert Path(snapshot.python.executable) == python
    assert (snapshot.activation.kind, snapshot.activation.set) == ("none", {})
    assert snapshot.activation.prepend_path == ()


@pytest.mark.parametrize("way", ["with-conda", "command"])
def test_what_activation_changes_is_recorded_as_plain_variables(
    python: Path, tools: str, activation: str, way: str
) -> None:
    variables = {"PATH": tools, "CHANGED": "before", "KEPT": "as it was"}
    if way == "with-conda":
        snapshot = enter(variables | {"WITH_CONDA": activation})
    else:
        snapshot = enter(variables, activation)
    found = snapshot.activation
    assert Path(snapshot.python.executable) == python
    assert (found.kind, found.command) == (way, activation)
    assert found.set == {
        "CONDA_PREFIX": str(python.parents[1]),
        "CONDA_DEFAULT_ENV": "my env",
        "NASTY": 'a "b" $(c) `d`\ntwo lines',
        "CHANGED": "before:more",
    }
    assert found.prepend_path == (str(python.parent),)


def test_nothing_is_activated_where_the_user_wants_none(python: Path, tools: str, activation: str) -> None:
    snapshot = enter({"PATH": f"{python.parent}:{tools}", "WITH_CONDA": activation}, "none")
    assert (snapshot.activation.kind, snapshot.activation.set) == ("none", {})


def test_what_the_runtime_adds_to_the_library_path_is_not_recorded(
    python: Path, tools: str, tmp_path: Path
) -> None:
    script = tmp_path / "libs"
    script.write_text('export LD_LIBRARY_PATH="/opt/rocm/lib:$LD_LIBRARY_PATH"\n')
    variables = {"PATH": f"{python.parent}:{tools}", "LD_LIBRARY_PATH": "/.singularity.d/libs"}
    assert enter(variables, f". '{script}'").activation.set == {"LD_LIBRARY_PATH": "/opt/rocm/lib"}


def test_an_image_without_a_python_says_so_and_what_to_do(tools: str) -> None:
    if any(Path(path).exists() for path in ("/opt/venv", "/opt/miniconda3", "/opt/conda")):
        pytest.skip("this machine has a Python where images have theirs")
    with pytest.raises(ImageError, match=r"the image image\.sif has no Python") as caught:
        enter({"PATH": tools})
    assert "activate" in (caught.value.hint or "")


def test_an_activation_that_fails_shows_what_it_said(python: Path, tools: str) -> None:
    with pytest.raises(ImageError) as caught:
        enter({"PATH": f"{python.parent}:{tools}"}, "cat /no/such/file")
    assert any("/no/such/file" in fact for fact in caught.value.facts)


def test_an_interpreter_that_breaks_shows_what_it_said(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho it broke >&2\nexit 7\n")
    broken.chmod(0o755)
    with pytest.raises(ImageError, match="exit status 7") as caught:
        take_snapshot(Base("host", str(broken), "host", "host:0"), "auto", Host(), None)
    assert "it broke" in caught.value.facts
