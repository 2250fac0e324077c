"""What is said of a module that cannot be imported, and of the release that would do."""

import pytest

from lumienv.overlay.verify import failed_import


@pytest.mark.parametrize(
    ("version", "older"),
    [("26.0.1", "pyarrow<26"), ("2026.9.0", "pyarrow<2026"), ("0.4.2", "pyarrow<0.4.2")],
)
def test_an_older_release_is_proposed_by_the_first_number_that_means_another_build(
    version: str, older: str
) -> None:
    said = failed_import("datasets", "datasets", "ImportError: NumPy", "pyarrow", {"pyarrow": version})
    assert said.startswith("import datasets (datasets) failed: ImportError: NumPy\n")
    assert f'raised in pyarrow {version}; an older one may do: [resolve] constraints = ["{older}"]' in said


def test_where_the_overlay_has_no_part_in_it_nothing_is_proposed() -> None:
    said = failed_import("datasets", "datasets", "ImportError: libGL", "torch", {"pyarrow": "26.0.1"})
    assert said == "import datasets (datasets) failed: ImportError: libGL"
