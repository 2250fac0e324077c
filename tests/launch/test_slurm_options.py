"""Words for srun and sbatch, read as getopt reads them; and lumienv's own among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples

from lumienv.errors import UsageError
from lumienv.launch.arguments import RunArguments
from lumienv.launch.slurm_arguments import SLURM_OPTIONS, misspelt, parse_slurm
from lumienv.launch.slurm_options import BATCH, SBATCH, SRUN, SlurmOption, read_options

SHORT_OF = {name: letter for letter, name in SRUN.short.items()}
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


def pairs(words: list[str]) -> list[tuple[str, str | None]]:
    return [(option.name, option.value) for option in read_options(words)[0]]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["-n4"], [("ntasks", "4")]),
        (["-n", "4", "-N2"], [("ntasks", "4"), ("nodes", "2")]),
        (["--ntasks=4", "--nodes", "2"], [("ntasks", "4"), ("nodes", "2")]),
        (["--ntasks-per-n=4"], [("ntasks-per-node", "4")]),
        (["--gres", "gpu:8"], [("gres", "gpu:8")]),
        (["-lu"], [("label", None), ("unbuffered", None)]),
        (["-lN2"], [("label", None), ("nodes", "2")]),
        (["-K0", "-K"], [("kill-on-bad-exit", "0"), ("kill-on-bad-exit", None)]),
        (["--exclusive", "user"], [("exclusive", None)]),
        (["--exclusive=user"], [("exclusive", "user")]),
        (["--comment", "--label"], [("comment", "--label")]),
        (["--export="], [("export", "")]),
        (["--no-such-option", "5", "-l"], [("no-such-option", "5"), ("label", None)]),
        (["--no-such-option", "-l"], [("no-such-option", None), ("label", None)]),
        (["--gpu=2"], [("gpu", "2")]),  # several begin like that: srun refuses it
        (["-n"], [("ntasks", None)]),
        (["-"], []),
    ],
)
def test_options_are_read_as_srun_reads_them(words: list[str], meant: list[tuple[str, str | None]]) -> None:
    assert pairs(words) == meant


def test_what_follows_the_options_is_the_command() -> None:
    assert read_options(["-n2", "python", "-l"])[1] == ["python", "-l"]
    assert read_options(["-n2", "--", "-l"])[1] == ["-l"]


def test_a_short_option_may_mean_something_else_to_sbatch() -> None:
    assert [option.name for option in read_options(["-W", "-a1-3"], SBATCH)[0]] == ["wait", "array"]
    assert pairs(["-W", "5"]) == [("wait", "5")]


@st.composite
def typed(draw: st.DrawFn) -> tuple[list[str], str, str | None]:
    """One option in one of the ways to type it: (words, long name, value)."""
    name = draw(st.sampled_from(sorted(SRUN.valued | SRUN.optional | SRUN.flags)))
    value = None if name in SRUN.flags else draw(VALUES)
    if name in SRUN.optional and draw(st.booleans()):
        value = None
    if name in SHORT_OF and draw(st.booleans()) and (value or name not in SRUN.optional):
        letter = SHORT_OF[name]
        if value is None:
            return [f"-{letter}"], name, None
        if value and (name in SRUN.optional or draw(st.booleans())):
            return [f"-{letter}{value}"], name, value
        return [f"-{letter}", value], name, value
    written = name
    while draw(st.booleans()) and SRUN.full_name(written[:-1]) == name:
        written = written[:-1]
    if value is None:
        return [f"--{written}"], name, None
    if name in SRUN.optional or draw(st.booleans()):
        return [f"--{written}={value}"], name, value
    return [f"--{written}", value], name, value


@given(st.lists(typed(), max_size=6))
@examples(200)
def test_however_it_is_typed_the_same_is_read(options: list[tuple[list[str], str, str | None]]) -> None:
    words = [word for typed_words, _, _ in options for word in typed_words]
    read, rest = read_options([*words, "--", "command"])
    assert [(option.name, option.value) for option in read] == [(name, value) for _, name, value in options]
    assert rest == ["command"]
    # Nothing is lost or made up on the way, and one word for each means the same.
    assert [word for option in read for word in option.words] == words
    assert pairs([option.word for option in read]) == [(name, value) for _, name, value in options]


@given(st.lists(st.text(max_size=4), max_size=6))
@examples(200)
def test_no_words_whatsoever_are_lost(words: list[str]) -> None:
    read, rest = read_options(words)
    taken = [word for option in read for word in option.words]
    # Flags written together come apart, and `--` ends them; nothing else changes.
    assert "".join([*taken, *rest]).replace("-", "") == "".join(words).replace("-", "")


def test_none_of_lumienvs_options_is_one_of_slurms() -> None:
    for option in SLURM_OPTIONS:
        (name,) = option.names
        assert not BATCH.knows(name.removeprefix("--"))
        # Nor the beginning of one, which somebody may type.
        known = (*BATCH.valued, *BATCH.optional, *BATCH.flags)
        assert not [word for word in known if word.startswith(name.removeprefix("--"))]


# -- lumienv srun ----------------------------------------------------------------------------------------


def test_lumienvs_options_stand_among_sruns() -> None:
    words = [
        "-N2",
        "--print",
        "-n",
        "16",
        "--mode=venv",
        "--env",
        "A=1",
        "--env=B=2",
        "-C",
        "gpu",
        "--",
        "x",
        "-q",
    ]
    assert parse_slurm(words, {}, SRUN) == RunArguments(
        ("x", "-q"),
        print_only=True,
        mode="venv",
        env=("A=1", "B=2"),
        options=("-N2", "-n", "16", "-C", "gpu"),
    )


def test_a_word_that_is_a_value_of_sruns_is_none_of_lumienvs_options() -> None:
    read = parse_slurm(["--comment", "--print", "--", "x"], {}, SRUN)
    assert (read.print_only, read.options) == (False, ("--comment", "--print"))


def test_what_makes_srun_quiet_makes_lumienv_quiet() -> None:
    assert [parse_slurm([word, "--", "x"], {}, SRUN).quiet for word in ("-Q", "--quiet", "-v")] == [
        True,
        True,
        False,
    ]


def test_variables_stand_for_lumienvs_options() -> None:
    environ = {"LUMIENV_MODE": "sif", "LUMIENV_SRUN": "-n8", "LUMIENV_PRINT": "1"}
    read = parse_slurm(["--", "x"], environ, SRUN)
    assert (read.mode, read.srun, read.print_only) == ("sif", "", True)


def test_parts_of_a_step_have_options_and_commands_of_their_own() -> None:
    words = ["-n1", "--", "a", ":", "-n2", "--", "b", ":", "-n3", "--", "c", "d"]
    read = parse_slurm(words, {}, SRUN)
    parts = [(part.options, part.command) for part in (read, *read.beside)]
    assert parts == [(("-n1",), ("a",)), (("-n2",), ("b",)), (("-n3",), ("c", "d"))]


@pytest.mark.parametrize("command", [["a", ":", "b"], [":"], ["a", ":"]])
def test_another_colon_is_the_commands(command: list[str]) -> None:
    read = parse_slurm(["-n1", "--", *command], {}, SRUN)
    assert (read.command, read.beside) == (tuple(command), ())


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["-N2", "python", "x y"], "python is no option", "lumienv srun -N2 -- python 'x y'"),
        (["-N2", "-n", "4"], "no `--`", "lumienv srun -N2 -n 4 -- python train.py"),
        (["-N2", "--"], "no command", "lumienv srun -N2 -- python train.py"),
        (["--mode=zip", "--", "x"], "--mode can be venv, squashfs, sif, not zip", ""),
        (["--env", "--", "x"], "--env needs a value", ""),
        (["--print=yes", "--", "x"], "--print takes no value", ""),
        (["--", "x", ":", "--env=A=1", "--", "y"], "behind `:`", "in front of the first `--`"),
        (["--", "x", ":", "-n1", "--", "y", ":", "--print", "--", "z"], "behind `:`", "for all parts"),
    ],
)
def test_a_mistake_is_a_sentence_that_shows_what_to_type(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_slurm(words, {}, SRUN)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_sbatch_says_what_to_do_with_a_script_of_ones_own() -> None:
    with pytest.raises(UsageError, match=r"job\.sh is no option of sbatch's") as caught:
        parse_slurm(["-N1", "job.sh"], {}, BATCH)
    assert "lumienv run -- …" in (caught.value.hint or "")


def test_sbatch_says_how_to_write_a_heterogeneous_job() -> None:
    with pytest.raises(UsageError, match="heterogeneous") as caught:
        parse_slurm(["-n1", ":", "-n2", "--", "x"], {}, BATCH)
    assert "--het-group" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("--ntask-per-nodes=2", "ntasks-per-node"), ("--no-snyc", "no-sync"), ("--prnt", "print")],
)
def test_a_misspelt_option_is_answered_with_the_near_miss(word: str, meant: str) -> None:
    (said,) = misspelt([word], SRUN)
    assert f"did you mean --{meant}?" in said


@pytest.mark.parametrize("word", ["--brand-new-thing=2", "--ntasks=2", "--ntasks-per-n=2", "-n2", "--gpu=2"])
def test_an_option_of_a_newer_slurm_is_passed_on_without_a_word(word: str) -> None:
    assert misspelt([word], SRUN) == []


def test_an_option_as_one_word() -> None:
    assert SlurmOption("nodes", "2", ("-N2",)).word == "--nodes=2"
    assert SlurmOption("label", None, ("-l",)).word == "--label"
