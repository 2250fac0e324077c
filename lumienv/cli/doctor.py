"""`lumienv doctor`"""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace

import click

from lumienv.cli.main import Common, common_options
from lumienv.project.doctor import CHECKS, FINE, NOTE, PROBLEM, UNKNOWN, Examination, Finding, examine
from lumienv.ui import Output, counted, plain

_COLORS = {FINE: "green", NOTE: "yellow", PROBLEM: "red", UNKNOWN: "blue"}
_TITLES = {"slurm": "Slurm"}
_WIDTH = 110
_COLUMN = 9
"""where what is found of a group begins, right of the group's name"""
_INDENT = _COLUMN + 6
"""where what continues it begins"""


@click.command(name="doctor")
@common_options
@click.option("--deep", is_flag=True, help="Also start the environment, to compare its activations.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def command(common: Common, deep: bool, as_json: bool) -> int:
    """Look at machine, site, Slurm, shell, project and home directory for what gets in the way.

    Each finding comes with what to do about it; -v shows what is fine, and the sources, too. The exit status
    is 1 when something is a problem. Uses no network and changes nothing.
    """
    found = examine(common.project, os.environ, deep=deep)
    if as_json:
        common.output.data(_json(found))
    elif common.output.quiet:
        _list(common.output, found.of(PROBLEM))
    else:
        _show(common.output, found)
    return 0 if found.sound else 1


def _show(output: Output, found: Examination) -> None:
    """Each group under its name on the left; what is a problem comes last, where the eye is."""
    for group in CHECKS:
        label = _TITLES.get(group, group)
        of_group = [finding for finding in found.findings if finding.group == group]
        for line in _of_group(of_group, verbose=bool(output.verbose)):
            output.text(click.style(f"{label:<{_COLUMN}}", bold=True) + line)
            label = ""
    problems = found.of(PROBLEM)
    if problems and not output.verbose:
        output.text("")
        _list(output, problems)
    output.text("")
    output.text(_summary(found, bool(output.verbose)))


def _of_group(findings: Sequence[Finding], *, verbose: bool) -> Iterator[str]:
    """The lines of one group, without its name."""
    if verbose:
        for finding in findings:
            yield from _told(finding, _COLUMN, source=True)
        return
    fine = [finding.what for finding in findings if finding.verdict == FINE]
    if fine:
        yield from _marked(FINE, ", ".join(dict.fromkeys(plain(what) for what in fine)), _COLUMN)
    for finding in _together(one for one in findings if one.verdict in (NOTE, UNKNOWN)):
        yield from _told(finding, _COLUMN)
    below = dict.fromkeys(finding.what for finding in findings if finding.verdict == PROBLEM)
    if below:
        yield from _marked(PROBLEM, f"{plain(', '.join(below))}: see below", _COLUMN)


def _together(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Findings one after the other that say the same are one, of all that it is said of."""
    last: Finding | None = None
    for finding in findings:
        if last is not None and replace(finding, what=last.what) == last:
            last = replace(last, what=f"{last.what}, {finding.what}")
            continue
        if last is not None:
            yield last
        last = finding
    if last is not None:
        yield last


def _list(output: Output, findings: Sequence[Finding]) -> None:
    for finding in findings:
        for line in _told(finding, 0):
            output.text(line)


def _told(finding: Finding, column: int, *, source: bool = False) -> Iterator[str]:
    """A finding with what to do about it, at `column`: the first line without the blanks before it."""
    yield from _marked(finding.verdict, f"{plain(finding.what)}: {plain(finding.facts)}", column)
    indent = " " * (_INDENT - _COLUMN)
    for number, line in enumerate(plain(finding.remedy).splitlines()):
        yield f"{indent}{'→ ' if number == 0 else '  '}{line}"
    if finding.source and source:
        yield click.style(f"{indent}source: {plain(finding.source)}", dim=True)


def _marked(verdict: str, text: str, column: int) -> Iterator[str]:
    """A verdict with its text in lines that fit; what may be copied, such as a path, stays in one piece."""
    first, *more = textwrap.wrap(
        f"{verdict}  {text}",
        _width() - column,
        subsequent_indent=" " * (_INDENT - _COLUMN),
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield click.style(verdict, fg=_COLORS[verdict], bold=verdict == PROBLEM or None) + first[len(verdict) :]
    yield from more


def _width() -> int:
    """Of the lines: of the terminal, where there is one."""
    return min(shutil.get_terminal_size().columns, _WIDTH) if sys.stdout.isatty() else _WIDTH


def _summary(found: Examination, all_shown: bool) -> str:
    parts = [counted(len(found.of(PROBLEM)), "problem"), counted(len(found.of(NOTE)), "note")]
    parts += [f"{len(found.of(UNKNOWN))} not checked"] if found.of(UNKNOWN) else []
    parts += [f"{len(found.of(FINE))} fine"]
    color = "green" if found.sound else "red"
    return click.style(", ".join(parts), fg=color) + ("" if all_shown else "; -v shows all of it")


def _json(found: Examination) -> dict[str, object]:
    findings = []
    for one in found.findings:
        told = asdict(one)
        findings.append(told | {name: told[name] or None for name in ("remedy", "source")})
    return {"schema": 1, "sound": found.sound, "findings": findings}
