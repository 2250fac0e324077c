"""Rules that name nothing are told of, with what may have been meant."""

from dataclasses import replace

import pytest
from universe import manifest, snapshot

from lumienv.image.snapshot import ImagePackage
from lumienv.manifest import Source
from lumienv.resolve.idle import idle_names

IMAGE = replace(
    snapshot(),
    packages=(ImagePackage(name="numpy", version="1.26.4"), ImagePackage(name="Torch", version="2.7")),
)
GIT = Source("git", "https://example.org/x.git")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"replace": ["nunpy"]}, "[resolve] replace: the image provides no nunpy; did you mean numpy?"),
        ({"replace": ["xyz"]}, "[resolve] replace: the image provides no xyz"),
        (
            {"assume": {"torhc": "2.8"}},
            "[image.assume] torhc: the image provides no torhc; did you mean torch?",
        ),
    ],
)
def test_a_rule_for_what_the_image_has_not(rules: dict[str, object], expected: str) -> None:
    assert list(idle_names(manifest(["h5py"], **rules), IMAGE, ["h5py"])) == [expected]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h5yp", "[sources] h5yp is not used: nothing needs h5yp; did you mean h5py?"),
        (
            "numpy",
            "[sources] numpy is not used, as the image provides numpy 1.26.4: "
            'to let the overlay bring it: [resolve] replace = ["numpy"]',
        ),
    ],
)
def test_a_source_that_is_not_used(name: str, expected: str) -> None:
    changed = replace(manifest(["h5py"]), sources={name: GIT})
    assert list(idle_names(changed, IMAGE, ["h5py"])) == [expected]


def test_rules_that_have_an_effect_are_passed_over() -> None:
    changed = manifest(
        ["h5py", "win ; sys_platform == 'win32'"], replace=["NumPy", "h5py"], assume={"torch": "2"}
    )
    changed = replace(changed, sources={"h5py": GIT, "numpy": GIT, "win": GIT})
    assert list(idle_names(changed, IMAGE, ["h5py", "numpy"])) == []
