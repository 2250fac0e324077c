"""What an image that lumienv made says of itself."""

import pytest
from sif_files import DataObject, sif

from lumienv.image.description import (
    FILE_NAME,
    Layer,
    Origin,
    description,
    layers_of,
    origin_of,
    pulled_description,
)
from lumienv.image.sif import GENERIC_JSON, OVERLAY, PARTITION, data_objects, read_object

ONE = Layer("/opt/lumienv", "base.sif", "sif:1", "sha256:1", "append", "0.1.0", "3.12.1")
TWO = Layer("/opt/lumienv-2", "one.sif", "sif:2", "sha256:2", "cotainr", "0.1.0", "3.12.1")
FROM = Origin("docker://org/image:1", "sha256:1", "0.1.0")
SYSTEM = DataObject(b"root file system")


def image(tmp_path, *texts: str):
    path = tmp_path / "image.sif"
    objects = [DataObject(text.encode(), GENERIC_JSON, name=FILE_NAME) for text in texts]
    path.write_bytes(sif([SYSTEM, *objects]))
    return path


def test_layers_are_read_back_the_oldest_first(tmp_path):
    assert layers_of(image(tmp_path, description([ONE, TWO]))) == (ONE, TWO)


def test_the_description_that_was_added_last_counts(tmp_path):
    assert layers_of(image(tmp_path, description([ONE]), description([ONE, TWO]))) == (ONE, TWO)


def test_an_image_of_others_has_no_layers(tmp_path):
    assert layers_of(image(tmp_path)) == ()


@pytest.mark.parametrize(
    "text",
    ["", "rubbish", "[]", "null", '{"schema": 2}', '{"schema": 1, "layers": [{"mount": "/x"}]}', "[" * 9999],
)
def test_a_description_that_is_none_is_no_failure(tmp_path, text):
    assert layers_of(image(tmp_path, text)) == ()


def test_an_image_that_was_pulled_says_where_from_and_has_no_layers(tmp_path):
    path = image(tmp_path, pulled_description(FROM))
    assert (origin_of(path), layers_of(path)) == (FROM, ())


def test_with_a_layer_on_it_an_image_is_no_longer_what_was_pulled(tmp_path):
    path = image(tmp_path, pulled_description(FROM), description([ONE]))
    assert (origin_of(path), layers_of(path)) == (None, (ONE,))


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": 1, "pulled": {"uri": "x"}}', '{"schema": 2}', "[" * 9999]
)
def test_an_image_of_others_was_not_pulled(tmp_path, text):
    assert origin_of(image(tmp_path, text)) is None
    assert origin_of(image(tmp_path)) is None


def test_data_objects_are_told_with_their_kind_place_and_name(tmp_path):
    path = tmp_path / "image.sif"
    overlay = DataObject(b"overlay", primary=False)
    path.write_bytes(sif([SYSTEM, overlay, DataObject(b"{}", GENERIC_JSON, name=FILE_NAME)]))

    system, second, third = data_objects(path)

    assert (system.kind, system.group, system.role) == (PARTITION, 1, 2)
    assert second.role != OVERLAY
    assert (third.kind, third.name, third.number) == (GENERIC_JSON, FILE_NAME, 3)
    assert read_object(path, second) == b"overlay"
