"""SingularityCE and Apptainer: their command line and their two prefixes."""

import csv
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.errors import ContainerError
from lumienv.runtime import Bind, Surroundings, closed_capture
from lumienv.runtime.singularity import APPTAINER, SINGULARITY, Singularity, find, flavour_of

PREFIXES = {APPTAINER: "APPTAINER", SINGULARITY: "SINGULARITY"}
FLAVOURS = pytest.mark.parametrize("flavour", [APPTAINER, SINGULARITY])


def runtime(flavour: str = APPTAINER) -> Singularity:
    return Singularity(f"/usr/bin/{flavour}", flavour)


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# -- launch ----------------------------------------------------------------------------------------------


@FLAVOURS
def test_a_task_is_nothing_but_the_runtime_the_image_and_the_command(flavour: str) -> None:
    around = Surroundings({}, (), (Bind("/store/tree", "/opt/lumienv"),))
    command = runtime(flavour).launch("/i.sif", ["python", "a b"], around, inherited={})
    assert command.argv == (
        *(f"/usr/bin/{flavour}", "--quiet", "exec", "--bind", "/store/tree:/opt/lumienv:ro"),
        *("/i.sif", "python", "a b"),
    )


def test_run_passes_through_the_images_runscript() -> None:
    command = runtime().launch("/i.sif", ["python"], Surroundings(), inherited={}, entry="run")
    assert command.argv[2] == "run"


@FLAVOURS
def test_values_travel_in_the_environment_and_are_never_evaluated(flavour: str) -> None:
    prefix, nasty = PREFIXES[flavour], "$(touch /tmp/x) `id` \"q\" 's' a,b=c\nd"
    around = Surroundings({"A": nasty, "PYTHONPATH": ""}, ("/opt/lumienv/bin", "/opt/conda/bin"))
    command = runtime(flavour).launch("/i.sif", ["python"], around, inherited={})
    assert command.env == {
        f"{prefix}ENV_A": nasty,
        f"{prefix}ENV_PYTHONPATH": "",
        f"{prefix}ENV_PREPEND_PATH": "/opt/lumienv/bin:/opt/conda/bin",
        f"{prefix}_NO_EVAL": "1",
    }
    assert not any("touch" in word for word in command.argv)


@FLAVOURS
def test_stale_values_of_either_prefix_do_not_reach_the_command(flavour: str) -> None:
    stale = {
        f"{prefix}ENV_{name}": "stale"
        for prefix in PREFIXES.values()
        for name in ("A", "PATH", "PREPEND_PATH", "APPEND_PATH")
    }
    kept = {"A": "host's", "APPTAINER_BIND": "/data", "APPTAINERENV_OTHER": "wanted"}
    command = runtime(flavour).launch(
        "/i.sif", ["python"], Surroundings({"A": "1"}, ("/opt/lumienv/bin",)), inherited=stale | kept
    )
    env = command.environment(stale | kept)
    assert {name for name in env if env[name] == "stale"} == set()
    assert kept.items() <= env.items()
    assert env[f"{PREFIXES[flavour]}ENV_A"] == "1"


# -- closed ----------------------------------------------------------------------------------------------


@FLAVOURS
def test_a_closed_command_is_contained_offline_and_knows_no_secret(flavour: str, tmp_path: Path) -> None:
    inherited = {
        "PATH": "/usr/bin",
        "HOME": "/home/ada",
        "WANDB_API_KEY": "secret",
        "PIP_INDEX_URL": "https://me:secret@packages.example.org",
        "APPTAINER_BIND": "/etc",
        "SINGULARITY_BINDPATH": "/etc",
        "APPTAINERENV_LD_PRELOAD": "/evil.so",
        "APPTAINER_TMPDIR": "/big",
        "SINGULARITY_CACHEDIR": "/cache",
    }
    command = runtime(flavour).closed(
        "/i.sif", ["python", "-"], Surroundings({"A": "1"}), inherited=inherited, scratch=tmp_path
    )
    words = command.argv[: command.argv.index("/i.sif")]
    assert words[0] == f"/usr/bin/{flavour}"
    assert {"exec", "--containall", "--no-home"} <= set(words)
    assert words[words.index("--network") + 1] == "none"
    assert words[words.index("--workdir") + 1] == str(tmp_path)
    assert words[words.index("--pwd") + 1] == "/"
    assert command.argv[command.argv.index("/i.sif") :] == ("/i.sif", "python", "-")
    env = command.environment(inherited)
    assert env == {
        "PATH": "/usr/bin",
        "HOME": "/home/ada",
        "APPTAINER_TMPDIR": "/big",
        "SINGULARITY_CACHEDIR": "/cache",
        f"{PREFIXES[flavour]}ENV_A": "1",
        f"{PREFIXES[flavour]}_NO_EVAL": "1",
    }


def test_the_network_is_left_in_reach_only_when_asked_for() -> None:
    command = runtime().closed("/i.sif", ["python"], Surroundings(), inherited={}, network=True)
    assert not {"--net", "--network"} & set(command.argv)


def answering(path: Path, refusal: str) -> Singularity:
    """A runtime that refuses `--net` with a message, and else prints its words."""
    text = f'case "$*" in *--net*) echo "{refusal}" >&2; exit 255;; esac\necho "started: $*"'
    return Singularity(str(program(path / "apptainer", text)), APPTAINER)


def test_where_an_administrator_forbids_to_cut_the_network_it_is_done_without(tmp_path: Path) -> None:
    done = closed_capture(
        answering(tmp_path, "FATAL: network requires root"),
        *("/i.sif", ["python"], Surroundings()),
        inherited=os.environ,
    )
    assert done.returncode == 0
    assert "--containall" in done.stdout


def test_any_other_failure_is_not_tried_again_with_a_network(tmp_path: Path) -> None:
    done = closed_capture(
        answering(tmp_path, "FATAL: no such image"), "/i.sif", ["python"], Surroundings(), inherited={}
    )
    assert (done.returncode, done.stdout) == (255, "")


# -- binds -----------------------------------------------------------------------------------------------


def bind_words(*binds: Bind) -> tuple[str, ...]:
    argv = runtime().launch("/i.sif", ["python"], Surroundings(binds=binds), inherited={}).argv
    return argv[3 : argv.index("/i.sif")]


@pytest.mark.parametrize(
    ("bind", "words"),
    [
        (Bind("/a", "/b"), ("--bind", "/a:/b:ro")),
        (Bind("/a", "/b", writable=True), ("--bind", "/a:/b")),
        (Bind("/a b", "/c d"), ("--bind", "/a b:/c d:ro")),
        (Bind("/o.sqsh", "/b", image_source="/"), ("--bind", "/o.sqsh:/b:ro,image-src=/")),
        (Bind("/a:1", "/b"), ("--mount", "type=bind,src=/a:1,dst=/b,ro")),
        (Bind("/a,1", "/b", writable=True), ("--mount", 'type=bind,"src=/a,1",dst=/b')),
        (Bind('/a"1', "/b"), ("--mount", 'type=bind,"src=/a""1",dst=/b,ro')),
    ],
)
def test_a_bind_is_written_so_that_the_runtime_reads_the_same_paths(
    bind: Bind, words: tuple[str, ...]
) -> None:
    assert bind_words(bind) == words


_PATHS = st.text(
    st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), min_size=1, max_size=12
).map("/{}".format)


@examples(200)
@given(source=_PATHS, target=_PATHS, writable=st.booleans())
def test_no_path_can_pass_for_another_bind(source: str, target: str, writable: bool) -> None:
    option, words = bind_words(Bind(source, target, writable))
    if option == "--bind":
        parts = words.split(":")
        if source == target and writable:
            assert parts == [source]
        else:
            assert parts == [source, target, *([] if writable else ["ro"])]
        assert "," not in words
    else:
        (fields,) = csv.reader([words])
        assert fields == ["type=bind", f"src={source}", f"dst={target}", *([] if writable else ["ro"])]


def test_paths_that_are_seen_as_they_are_share_a_word_and_others_keep_theirs() -> None:
    plain, moved = Bind("/a", "/a", writable=True), Bind("/b", "/c", writable=True)
    odd, plain_too = Bind("/d,e", "/d,e", writable=True), Bind("/f", "/f", writable=True)
    words = Singularity("apptainer", APPTAINER).launch(
        "i.sif", ["true"], Surroundings(binds=(plain, plain_too, moved, plain, odd, plain_too)), inherited={}
    )
    assert words.argv[3:-2] == (
        *("--bind", "/a,/f", "--bind", "/b:/c", "--bind", "/a"),
        *("--mount", 'type=bind,"src=/d,e","dst=/d,e"', "--bind", "/f"),
    )


# -- which runtime is it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "flavour"),
    [("apptainer version 1.4.5", APPTAINER), ("singularity-ce version 4.1.3", SINGULARITY)],
)
def test_a_program_called_singularity_is_asked_which_it_is(tmp_path: Path, said: str, flavour: str) -> None:
    assert flavour_of(str(program(tmp_path / "singularity", f"echo {said}"))) == flavour


def test_a_link_to_apptainer_is_not_started_to_be_asked(tmp_path: Path) -> None:
    real = program(tmp_path / "libexec" / "apptainer", f"touch {tmp_path}/started")
    (tmp_path / "singularity").symlink_to(real)
    assert flavour_of(str(tmp_path / "singularity")) == APPTAINER
    assert not (tmp_path / "started").exists()


def test_singularity_is_preferred_and_apptainer_will_do(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "apptainer", "echo apptainer version 1.4.5")
    environ = {"PATH": f"{tmp_path}/bin"}
    assert find(environ) == Singularity(f"{tmp_path}/bin/apptainer", APPTAINER)
    program(tmp_path / "bin" / "singularity", "echo singularity-ce version 4.1.3")
    assert find(environ | {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}).flavour == SINGULARITY


@pytest.mark.parametrize("by", ["name", "path"])
def test_the_user_may_name_the_runtime(tmp_path: Path, by: str) -> None:
    wanted = program(tmp_path / "bin" / "apptainer", "echo apptainer version 1.4.5")
    program(tmp_path / "bin" / "singularity", "echo singularity-ce version 4.1.3")
    name = "apptainer" if by == "name" else str(wanted)
    environ = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "LUMIENV_RUNTIME": name}
    assert find(environ) == Singularity(str(wanted), APPTAINER)


def test_without_a_runtime_the_ways_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(ContainerError, match="no container runtime was found") as caught:
        find({"PATH": str(tmp_path)})
    assert "host" in (caught.value.hint or "")
    with pytest.raises(ContainerError, match="cannot start nothing: LUMIENV_RUNTIME names no program"):
        find({"PATH": str(tmp_path), "LUMIENV_RUNTIME": "nothing"})


def test_the_runtimes_own_commands_get_no_binds_and_our_place_for_temporary_files(tmp_path):
    inherited = {
        "PATH": "/usr/bin",
        "SINGULARITY_BIND": "/no/such/folder",
        "APPTAINERENV_X": "1",
        "SINGULARITY_TMPDIR": "/elsewhere",
        "SINGULARITY_CACHEDIR": "/cache",
        "PYTHONPATH": "/host",
    }

    command = Singularity("/usr/bin/apptainer", "apptainer").tool(
        ("build", "a.sif", "tree"), inherited=inherited, scratch=tmp_path
    )

    assert command.argv == ("/usr/bin/apptainer", "--quiet", "build", "a.sif", "tree")
    assert command.environment(inherited) == {
        "PATH": "/usr/bin",
        "SINGULARITY_CACHEDIR": "/cache",
        "TMPDIR": str(tmp_path),
        "SINGULARITY_TMPDIR": str(tmp_path),
        "APPTAINER_TMPDIR": str(tmp_path),
    }


def test_passwords_of_registries_and_proxies_are_for_what_fetches_alone(tmp_path):
    inherited = {"SINGULARITY_DOCKER_PASSWORD": "secret", "https_proxy": "http://proxy:3128"}
    runtime = Singularity("/usr/bin/apptainer", "apptainer")
    for network in (True, False):
        command = runtime.tool(("build",), inherited=inherited, scratch=tmp_path, network=network)
        kept = set(command.environment(inherited)) & set(inherited)
        assert kept == (set(inherited) if network else set())
        assert "secret" not in " ".join(command.argv)
    asked = runtime.tool(("build",), inherited=inherited, scratch=tmp_path, network=True, login=False)
    assert set(asked.environment(inherited)) & set(inherited) == {"https_proxy"}
