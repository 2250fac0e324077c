"""What the page says in words: the totals, what takes the room, and the table of all packages."""

from collections.abc import Iterator, Sequence

from lumienv.export.treepage import PagePackage, TreePage
from lumienv.export.treepage.words import anchor, shown, words
from lumienv.plaintext import counted, megabytes

_NAMED = 5
_LARGEST = 8


def totals(page: TreePage) -> str:
    """A list of figures with what they count."""
    figures = "".join(
        f"<div><dt>{words(what)}</dt><dd>{words(figure)}</dd></div>" for figure, what in _figures(page)
    )
    return f'<dl class="totals">{figures}</dl>'


def _figures(page: TreePage) -> Iterator[tuple[str, str]]:
    overlay = [package for package in page.packages if not package.image]
    sizes = [package.size for package in overlay if package.size is not None]
    yield f"{len(overlay):,}", "packages in the overlay" if len(overlay) != 1 else "package in the overlay"
    unknown = len(overlay) - len(sizes)
    if sizes:
        yield megabytes(sum(sizes)), "to download" + (f", {unknown:,} not known" if unknown else "")
    made = page.installed
    if made is not None:
        files = f", {counted(made.files, 'file')}" if made.files else ""
        yield megabytes(made.size), f"installed ({made.mode}{files})"
    relied = sum(package.image and bool(package.ways) for package in page.packages)
    yield f"{relied:,}", "of the image relied on"
    replaced = sum(bool(package.replaces) for package in overlay)
    if replaced:
        yield f"{replaced:,}", "replaced in the image"
    if page.outdated:
        yield f"{sum(bool(package.latest) for package in overlay):,}", "have a newer release"


def notes(page: TreePage) -> str:
    """What a reader has to know first."""
    if not page.notes:
        return ""
    return f'<ul class="notes">{"".join(f"<li>{words(note)}</li>" for note in page.notes)}</ul>'


def legend(page: TreePage) -> str:
    """What the shapes and colours mean that are there."""
    kinds = {
        "line": ("your line", bool(page.lines)),
        "overlay": ("package of the overlay", any(not one.image for one in page.packages)),
        "image": ("package of the image", any(one.image for one in page.packages)),
        "replaces": ("replaces one of the image", any(one.replaces for one in page.packages)),
        "newer": ("has a newer release", any(one.latest for one in page.packages)),
        "up": ("needs what is chosen", True),
        "down": ("is needed by it", True),
    }
    items = "".join(f'<li class="{kind}">{text}</li>' for kind, (text, there) in kinds.items() if there)
    return f'<ul class="legend" aria-label="legend">{items}</ul>'


def largest(page: TreePage) -> str:
    """The packages that take the most room, with bars."""
    sized = sorted(
        ((package.size, package.name) for package in page.packages if package.size and not package.image),
        key=lambda one: (-one[0], one[1]),
    )[:_LARGEST]
    if not sized:
        return ""
    rows = "".join(
        f'<li><a href="#{anchor(name)}"><bdi>{words(name)}</bdi></a><span>{megabytes(size)}</span>'
        f'<svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{max(100 * size / sized[0][0], 0.5):.1f}" height="4"/></svg></li>'
        for size, name in sized
    )
    return f'<h2>The largest downloads</h2><ol class="largest">{rows}</ol>'


def table(page: TreePage) -> str:
    """All packages, by name; each row is what a box of the picture leads to."""
    needed = _needed_by(page)
    headings = ["Package", "Version", *(["Newer"] if page.outdated else []), "From", "Size", "Needed by"]
    keys = [heading.lower().replace(" ", "-") for heading in headings]
    head = "".join(
        f'<th scope="col" data-sort="{key}"{_sorted_by(key)}>{heading}</th>'
        for heading, key in zip(headings, keys, strict=True)
    )
    rows = "\n".join(_row(page, number, needed[package.name]) for number, package in _by_name(page))
    return f'<table id="packages"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>'


def _sorted_by(key: str) -> str:
    return ' aria-sort="ascending"' if key == "package" else ""


def _by_name(page: TreePage) -> list[tuple[int, PagePackage]]:
    return sorted(enumerate(page.packages), key=lambda one: one[1].name)


def _needed_by(page: TreePage) -> dict[str, list[str]]:
    """name → who needs it, as HTML: the user's own lines first."""
    found: dict[str, list[str]] = {package.name: [] for package in page.packages}
    for line in page.lines:
        group = f", group {words(line.group)}" if line.group else ""
        found[line.package].append(f'<span class="own">{words(line.where)}{group}</span>')
    for _, package in _by_name(page):
        for name in package.needs:
            found[name].append(f'<a href="#{anchor(package.name)}"><bdi>{words(package.name)}</bdi></a>')
    return found


def _row(page: TreePage, number: int, needed: Sequence[str]) -> str:
    package = page.packages[number]
    size = megabytes(package.size) if package.size is not None and not package.image else ""
    origin = "image" if package.image else "overlay"
    tags = f'<span class="tag {origin}">{origin}</span>'
    tags += (
        f'<span class="tag replaces">replaces {words(package.replaces)}</span>' if package.replaces else ""
    )
    tags += "".join(f'<span class="tag">{words(group)}</span>' for group in package.groups)
    newer = f"<td>{words(package.latest)}</td>" if page.outdated else ""
    return (
        f'<tr id="{anchor(package.name)}" data-box="{len(page.lines) + number}">'
        f'<th scope="row"><bdi>{words(package.name)}</bdi></th><td><bdi>{words(package.version)}</bdi></td>'
        f'{newer}<td data-value="{origin}">{tags}</td>'
        f'<td class="number" data-value="{package.size or 0}">{size}</td>'
        f'<td data-value="{len(needed)}">{_named(needed)}</td></tr>'
    )


def _named(needed: Sequence[str]) -> str:
    """All of them; many are folded away."""
    if len(needed) <= _NAMED:
        return ", ".join(needed)
    rest = ", ".join(needed[_NAMED - 1 :])
    first = ", ".join(needed[: _NAMED - 1])
    return f"{first}<details><summary>and {len(needed) - _NAMED + 1:,} more</summary>{rest}</details>"


def data(page: TreePage) -> dict[str, object]:
    """What the script knows: the boxes by their numbers, and what leads to what is drawn."""
    number = {package.name: len(page.lines) + at for at, package in enumerate(page.packages)}
    return {
        "lines": [
            {
                "text": shown(line.text),
                "where": shown(line.where),
                "group": shown(line.group),
                "standsFor": shown(line.stands_for),
                "needs": [number[line.package]],
            }
            for line in page.lines
        ],
        "packages": [
            {
                "name": shown(package.name),
                "version": shown(package.version),
                "image": package.image,
                "groups": [shown(group) for group in package.groups],
                "replaces": shown(package.replaces),
                "size": package.size,
                "latest": shown(package.latest),
                "source": shown(package.source),
                "installer": shown(package.installer),
                "needs": [number[name] for name in package.needs],
                "chains": [[chain.line, *(number[name] for name in chain.names)] for chain in package.chains],
                "ways": package.ways,
            }
            for package in page.packages
        ],
    }
