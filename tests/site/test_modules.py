"""The table of modules and distributions is one that can be relied on."""

from itertools import combinations

from packaging.utils import canonicalize_name

from lumienv.site import load_site
from lumienv.site.modules import import_names, module_groups


def test_groups_hold_normalised_names_and_no_name_is_in_two() -> None:
    for group in module_groups():
        assert len(group.members) > 1
        assert all(canonicalize_name(name) == name for name in group.members)
        assert group.own_versions | group.more <= group.members
    assert all(not one.members & other.members for one, other in combinations(module_groups(), 2))


def test_the_pairs_that_images_are_known_to_have_are_there() -> None:
    members = {name: group.module for group in module_groups() for name in group.members}
    assert {members[name] for name in ("triton", "pytorch-triton-rocm", "triton-rocm", "fake-triton")} == {
        "triton"
    }
    assert members["tensorflow-rocm"] == members["tensorflow"]
    assert members["opencv-python-headless"] == members["opencv-python"] == "cv2"


def test_import_names_lead_to_normalised_names_of_others() -> None:
    assert import_names()["sklearn"] == ("scikit-learn",)
    assert import_names()["mpl-toolkits"] == ("matplotlib",)
    for module, names in import_names().items():
        assert canonicalize_name(module) == module
        assert module not in names
        assert all(canonicalize_name(name) == name for name in names)


def test_the_table_is_no_site() -> None:
    assert load_site({"HOME": "/home/user"}).name != "modules"
