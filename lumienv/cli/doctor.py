"""`lumienv doctor`"""

import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from lumienv.cli.main import Common, common_options
from lumienv.project.doctor import CHECKS, FINE, NOTE, PROBLEM, UNKNOWN, Examination, Finding, examine
from lumienv.ui import Output, counted, plain

_COLORS = {FINE: "green", NOTE: "yellow", PROBLEM: "red", UNKNOWN: "blue"}
_TITLES = {"slurm": "Slurm"}
_WIDTH = 110
_INDENT = " " * 8


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
    for group in CHECKS:
        of_group = [finding for finding in found.findings if finding.group == group]
        if not of_group:
            continue
        output.text(click.style(_TITLES.get(group, group), bold=True))
        if output.verbose:
            _list(output, of_group)
            continue
        for line in _fine([finding for finding in of_group if finding.verdict == FINE]):
            output.text(line)
        _list(output, [finding for finding in of_group if finding.verdict in (NOTE, UNKNOWN)])
        below = dict.fromkeys(finding.what for finding in of_group if finding.verdict == PROBLEM)
        if below:
            output.text(
                f"  {click.style(PROBLEM, fg='red', bold=True)}  {plain(', '.join(below))}: see below"
            )
    problems = found.of(PROBLEM)
    if problems and not output.verbose:
        output.text("")
        _list(output, problems)
    output.text("")
    output.text(_summary(found, bool(output.verbose)))


def _fine(findings: Sequence[Finding]) -> Iterator[str]:
    """What is fine, in as few lines as it takes."""
    if findings:
        names = ", ".join(dict.fromkeys(plain(finding.what) for finding in findings))
        first, *more = _wrapped(f"  {FINE}  {names}")
        yield first.replace(FINE, click.style(FINE, fg=_COLORS[FINE]), 1)
        yield from more


def _wrapped(text: str) -> list[str]:
    """Lines that fit; what may be copied, such as a path, stays in one piece."""
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )


def _list(output: Output, findings: Sequence[Finding]) -> None:
    for finding in findings:
        mark = click.style(
            finding.verdict, fg=_COLORS[finding.verdict], bold=finding.verdict == PROBLEM or None
        )
        first, *more = _wrapped(f"  {finding.verdict}  {plain(finding.what)}: {plain(finding.facts)}")
        output.text(first.replace(finding.verdict, mark, 1))
        for line in more:
            output.text(line)
        for number, line in enumerate(plain(finding.remedy).splitlines()):
            output.text(f"{_INDENT}{'→ ' if number == 0 else '  '}{line}")
        if finding.source and output.verbose:
            output.text(click.style(f"{_INDENT}source: {plain(finding.source)}", dim=True))


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
