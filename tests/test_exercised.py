"""What counts as a use of a command or an option: tests/exercised.py, which `tests/run.sh` asks last."""

import subprocess
import sys
from pathlib import Path

import pytest
from exercised import LEFT_OUT, calls, notes_of, report, start, used_by, wanted
from reference import leaves

COMMANDS = dict(leaves())


def typed(line: str, **variables: str) -> set[str]:
    return {f"{name} {option}".strip() for name, option in used_by(line.split(), variables, COMMANDS)[0]}


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("lock -P h5py --check", {"lock", "lock --upgrade-package", "lock --check"}),
        ("image freeze -o x.json", {"image freeze", "image freeze --output"}),
        ("run --env A=b -- python --color x", {"run", "run --env"}),
        ("srun -n2 --mode sif --print -- x --no-sync", {"srun", "srun --mode", "srun --print"}),
        ("init --host", {"init", "init --host"}),
        ("lock --no-such-option", set()),
        ("lock --color purple --check", set()),
        ("lock --check --help", set()),
        ("srun -n2 --print x", set()),
        ("srun --help", set()),
        ("no-such-command --check", set()),
        ("image", set()),
        ("", set()),
    ],
)
def test_words_count_as_the_program_understands_them(line: str, counts: set[str]) -> None:
    assert typed(line) == counts


def test_what_a_variable_gives_is_counted_by_itself() -> None:
    said = used_by(["sync", "--check"], {"LUMIENV_MODE": "venv"}, COMMANDS)
    assert said == ({("sync", ""), ("sync", "--check")}, {("sync", "--mode")})


def test_the_program_notes_down_its_calls_and_is_the_same_otherwise(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "lumienv"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\nsys.exit(7)\n")
    script.chmod(0o755)
    start(tmp_path)
    start(tmp_path)  # as the next run does
    words = ["lock", "two\nlines", "é'\"", "--check"]
    for env in ({"LUMIENV_MODE": "sif", "OTHER": "x"}, {"OTHER": "y"}):
        done = subprocess.run([script, *words], env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (7, f"{words}\n")
    assert list(calls(notes_of(tmp_path))) == [(words, {"LUMIENV_MODE": "sif"}), (words, {})]
    notes_of(tmp_path).unlink()
    assert subprocess.run([script], capture_output=True, check=False).returncode == 7


def test_what_no_test_has_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = {name: COMMANDS[name] for name in ("cache dir", "why")}
    lines = [
        f"({[*name.split(), *(['thing'] if name == 'why' else []), *_given(option)]!r}, {{}})"
        for name, option in wanted(commands)
    ]
    notes = tmp_path / "notes"
    notes.write_text("\n".join(lines) + "\n")
    assert report(notes, commands) == 0
    notes.write_text("\n".join(line for line in lines if "--json" not in line and "cache" not in line) + "\n")
    assert report(notes, commands) == 1
    shown = capsys.readouterr().out
    assert "never used: lumienv why --json\n" in shown
    assert "never used: lumienv cache dir --project --offline" in shown


def _given(option: str) -> list[str]:
    values = {"--project": ["."], "--color": ["never"]}
    return [option, *values.get(option, [])] if option else []


def test_what_is_left_out_exists_and_has_a_reason() -> None:
    assert set(LEFT_OUT) <= set(wanted(COMMANDS))
    assert all(LEFT_OUT.values())
