"""The page of `lumienv tree --html` as text, and how its picture is laid out."""

import random
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from lumienv.errors import StoreError
from lumienv.export.target import write_target
from lumienv.export.treepage import Chain, Installed, PagePackage, TreePage, UserLine
from lumienv.export.treepage.layers import layers
from lumienv.export.treepage.placing import HEIGHT, place
from lumienv.export.treepage.words import anchor, as_data, shortened, words
from lumienv.export.treepage.write import page_text
from lumienv.project.treepage import check_page

EVIL = "</script></style><img src=x onerror=alert(1)>\"'&\u202e\u2028\x1b[31m\ud800"


def package(name, *needs, **more):
    return PagePackage(name, **{"version": "1.0", "image": False, "needs": needs, **more})


def page(*packages, lines=(), **more):
    return TreePage("image.sif", "3.12.9", lines, packages, **more)


class Elements(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def graphs():
    chance = random.Random(1)  # noqa: S311
    for boxes in (1, 2, 5, 20, 60):
        for share in (0.5, 1, 2):
            arcs = {(chance.randrange(boxes), chance.randrange(boxes)) for _ in range(int(boxes * share))}
            first = set(range(min(2, boxes - 1)))
            arcs = {(a, b) for a, b in arcs if b not in first}
            yield boxes, arcs, first, set(range(boxes // 2 + 2, boxes))


# -- the layout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("boxes", "arcs", "first", "last"), [*graphs()])
def test_every_box_has_one_place_and_every_arc_leads_from_column_to_column(boxes, arcs, first, last):
    made = layers(boxes, arcs, first, last)
    column = {slot: number for number, slots in enumerate(made.columns) for slot in slots}
    assert sorted(slot for slot in column if slot < boxes) == list(range(boxes))
    assert sum(map(len, made.columns)) == len(column)
    assert {way.arc for way in made.ways} == {arc for arc in arcs if arc[0] != arc[1]}
    for way in made.ways:
        assert {way.slots[0], way.slots[-1]} == set(way.arc)
        assert all(column[right] == column[left] + 1 for left, right in pairwise(way.slots))
        assert all(slot >= boxes for slot in way.slots[1:-1])
    assert {box for box in range(boxes) if column[box] == 0} >= first


@pytest.mark.parametrize(("boxes", "arcs", "first", "last"), [*graphs()])
def test_nothing_of_a_column_lies_on_something_else(boxes, arcs, first, last):
    made = layers(boxes, arcs, first, last)
    laid = place(made, [100.0 + box for box in range(boxes)])
    for slots in made.columns:
        for upper, lower in pairwise(slots):
            above, below = laid.places[upper], laid.places[lower]
            assert below.y - (above.y + above.height) >= 6.9
    for left, right in pairwise(laid.columns):
        assert right.x - (left.x + left.width) >= 60
    assert all(at.y >= 0 and at.y + at.height <= laid.height for at in laid.places.values())
    assert all(
        at.width >= 100 + box and at.height == HEIGHT for box, at in laid.places.items() if box < boxes
    )


def test_a_ring_is_turned_round_at_one_arc_only():
    made = layers(3, [(0, 1), (1, 2), (2, 0)], (), ())
    assert [way.arc for way in made.ways if way.back] == [(2, 0)]
    assert [len(column) for column in made.columns] == [1, 2, 1]


def test_lines_are_led_so_that_they_do_not_cross_where_they_need_not():
    made = layers(6, [(0, 5), (1, 4), (2, 3)], (0, 1, 2), ())
    order = made.columns[1]
    assert [order.index({0: 5, 1: 4, 2: 3}[box]) for box in made.columns[0]] == [0, 1, 2]


def test_what_the_image_answers_for_stands_on_the_right_in_columns_no_taller_than_others():
    arcs = [(0, 1), (1, 2), *((1, box) for box in range(3, 43)), (3, 2)]
    made = layers(43, arcs, (0,), range(3, 43))
    column = {slot: number for number, slots in enumerate(made.columns) for slot in slots}
    assert column[3] < column[2]  # it needs something itself
    assert {column[box] for box in range(4, 43)} == {4, 5, 6}
    assert max(sum(slot < 43 for slot in slots) for slots in made.columns) <= 16


def test_arcs_to_one_box_share_their_slots():
    made = layers(5, [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4), (1, 4)], (), ())
    ways = {way.arc: way.slots for way in made.ways}
    assert ways[0, 4][2:] == ways[1, 4][1:]


# -- the text --------------------------------------------------------------------------------------------


def test_whatever_a_lock_says_there_is_no_element_of_its_own():
    names = [EVIL, f"{EVIL} again"]
    line = UserLine(EVIL, EVIL, EVIL, group=EVIL, stands_for=EVIL)
    nasty = package(
        EVIL,
        names[1],
        version=EVIL,
        groups=[EVIL],
        replaces=EVIL,
        latest=EVIL,
        source=EVIL,
        installer=EVIL,
        size=1,
        chains=[Chain(0, [EVIL])],
        ways=2,
    )
    other = package(names[1], version=EVIL, image=True)
    made = TreePage(EVIL, EVIL, [line], [nasty, other], [EVIL], Installed(EVIL, 1, 1), outdated=True)
    text = page_text(made)
    text.encode()
    one = package("a", "b", replaces="1", latest="2", size=1)
    usual = page_text(
        page(one, package("b", image=True), lines=[UserLine("a", "1", "a")], notes=["note"], outdated=True)
    )
    assert {tag for tag, _ in Elements(text).found} == {tag for tag, _ in Elements(usual).found}
    assert sum(tag == "script" for tag, _ in Elements(text).found) == 2
    assert not any(name.startswith("on") for _, attributes in Elements(text).found for name in attributes)
    assert not set(text) & {"\u202e", "\u2028", "\x1b", "\ud800"}


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else():
    found = Elements(page_text(page(package("a")))).found
    [policy] = [one["content"] for tag, one in found if tag == "meta" and "http-equiv" in one]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not [one for _, one in found if {"src", "style", "onclick"} & one.keys()]
    assert all(one["href"].startswith("#") for tag, one in found if "href" in one)


def test_the_same_values_give_the_same_bytes_whatever_their_order_in_memory():
    packages = [
        package(f"p{number}", *(f"p{other}" for other in range(number + 1, 9, 2))) for number in range(9)
    ]
    lines = [UserLine("p0", "lumienv.toml:2", "p0")]
    assert page_text(page(*packages, lines=lines)) == page_text(page(*packages, lines=lines))


def test_a_project_without_packages_has_a_page():
    assert "<table" in page_text(page())


def test_totals_say_what_is_not_known():
    text = page_text(
        page(package("a", size=2_000_000), package("b"), installed=Installed("venv", 3_000_000, 0))
    )
    assert "<dt>to download, 1 not known</dt><dd>2.0 MB</dd>" in text
    assert "<dt>installed (venv)</dt><dd>3.0 MB</dd>" in text


def test_many_that_need_a_package_are_folded_away_and_named_all():
    many = [package(f"p{number}", "base") for number in range(30)]
    text = page_text(page(package("base"), *many))
    [row] = re.findall(r'<tr id="package-base".*?</tr>', text)
    assert "<summary>and 26 more</summary>" in row
    assert row.count('href="#package-p') == 30


def test_what_fits_no_box_keeps_its_beginning_and_its_end():
    assert shortened("mylib @ git+https://example.org/group/mylib", 20) == "mylib @ git+h…/mylib"
    assert len(shortened("x" * 99, 30)) == 30


def test_addresses_lose_their_query_and_names_are_safe_in_a_fragment():
    assert words("https://example.org/a?token=s3cret") == "https://example.org/a"
    assert anchor("<a b>") == "package-%3Ca%20b%3E"
    assert "<" not in as_data("</script>")


# -- the file --------------------------------------------------------------------------------------------


def test_only_a_page_is_replaced_by_a_page(tmp_path):
    target = tmp_path / "tree.html"
    check_page(target)
    write_target(target, page_text(page()))
    check_page(target)
    target.write_text("<html>mine</html>")
    with pytest.raises(StoreError, match="not a page that lumienv has written") as caught:
        check_page(target)
    assert "--html" in (caught.value.hint or "")
    assert target.read_text() == "<html>mine</html>"
    with pytest.raises(StoreError, match="is a directory") as caught:
        check_page(tmp_path)
    assert str(target) in (caught.value.hint or "")
    with pytest.raises(StoreError, match="/dev/null is no file"):
        check_page(Path("/dev/null"))
    with pytest.raises(StoreError, match="there is no folder"):
        check_page(tmp_path / "none" / "tree.html")
