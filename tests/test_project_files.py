"""The files that a project has: changelog, citation, what goes into a source distribution."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from lumienv import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Citation File Format 1.2.0, "Valid keys" and "Definitions": the keys at the top, those that are needed, and
# those of an entity (which is what an author without given or family names is).
KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers"),
    *("keywords", "license", "license-url", "message", "preferred-citation", "references", "repository"),
    *("repository-artifact", "repository-code", "title", "type", "url", "version"),
}
NEEDED = {"authors", "cff-version", "message", "title"}
ENTITY_KEYS = {
    *("address", "alias", "city", "country", "date-end", "date-start", "email", "fax", "location", "name"),
    *("orcid", "post-code", "region", "tel", "website"),
}


def citation() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "CITATION.cff").read_text()))


def test_the_citation_file_has_the_keys_of_its_format_and_no_others() -> None:
    found = citation()
    assert found.keys() <= KEYS
    assert found.keys() >= NEEDED
    assert found["cff-version"] == "1.2.0"
    assert found["type"] in ("software", "dataset")
    assert [
        author for author in found["authors"] if not author.keys() <= ENTITY_KEYS or not author["name"]
    ] == []
    assert len(found["keywords"]) == len(set(found["keywords"])) > 0
    texts = [found[key] for key in ("title", "message", "abstract", "license", "version")]
    assert [text for text in texts if not isinstance(text, str) or not text] == []


def test_the_citation_file_says_what_the_package_says() -> None:
    found = citation()
    assert found["version"] == __version__ == PROJECT["project"]["version"]
    assert found["license"] == PROJECT["project"]["license"]


def test_nothing_in_the_citation_file_was_made_up() -> None:
    """There is no release, no archive and nobody's number: such keys come with the things."""
    assert (
        citation().keys() & {"doi", "identifiers", "date-released", "commit", "url", "repository-code"}
        == set()
    )


def test_the_changelog_begins_with_this_version() -> None:
    sections = re.findall(r"^## (\S+), (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0][0] == __version__
    assert [when for _, when in sections if not re.fullmatch(r"unreleased|\d{4}-\d{2}-\d{2}", when)] == []


def test_what_goes_into_a_source_distribution_is_there() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [name for name in included if not (ROOT / name.lstrip("/")).exists()] == []
    tops = {path.name for path in (*ROOT.glob("*.md"), *ROOT.glob("*.cff"))} - {
        "README.md"
    }  # that always goes
    assert tops - {name.lstrip("/") for name in included} == set()
