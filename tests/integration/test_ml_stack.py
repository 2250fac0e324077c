"""What people add to the PyTorch images, from the real package index."""

import re

import pytest
from workspace import locked

pytestmark = pytest.mark.unprivileged

STACK = ["datasets", "transformers", "accelerate", "wandb"]


@pytest.mark.parametrize("image", ["pytorch", "multitorch"])
def test_the_stack_locks_without_torch_or_anything_of_cuda(lab, workspace, image):
    workspace.write(f'path = "{lab.images[image]}"', STACK)

    said = workspace.lumienv("lock")

    names = set(locked(workspace))
    assert {"datasets", "accelerate", "wandb"} <= names
    assert "torch" not in names
    assert "numpy" not in names
    assert not [name for name in names if name.startswith(("nvidia", "triton"))]
    assert "= torch 2." in said
    assert "+rocm" in said


def test_the_stack_runs_on_the_pytorch_image_with_the_images_numpy(lab, workspace):
    # pyarrow's newest release wants NumPy 2 when it is imported, though its metadata does not say so.
    # transformers and accelerate are checked by their place: they import more of torch than the stand-in has.
    workspace.write(f'path = "{lab.images["pytorch"]}"', STACK, '[resolve]\nconstraints = ["pyarrow<19"]\n')
    workspace.lumienv("sync")

    answer = workspace.python(
        "import importlib.util, datasets, wandb, numpy\n"
        "table = datasets.Dataset.from_dict({'x': [1, 2, 3]})\n"
        "import torch\n"
        "print(sum(table['x']), numpy.__version__, torch.__version__)\n"
        "print(*(importlib.util.find_spec(m).origin for m in ('transformers', 'accelerate')))"
    ).split()

    assert answer[:3] == ["6", "1.26.4", "2.7.1+rocm6.2.4"]
    assert answer[3].startswith("/opt/miniconda3/envs/pytorch/lib/")
    assert answer[4].startswith("/opt/lumienv/lib/")


def test_a_release_that_is_too_new_for_the_image_is_named_with_a_line_to_type(lab, workspace):
    workspace.write(f'path = "{lab.images["pytorch"]}"', ["pyarrow>=24"])

    said = workspace.try_("sync")

    assert said.status == 0
    assert "import pyarrow (pyarrow) failed: ImportError: pyarrow requires NumPy 2" in said.err
    assert re.search(r'\[resolve\] constraints = \["pyarrow<\d+"\]', said.err)


def test_a_package_that_fails_to_import_here_is_said_but_does_not_stop_the_sync(lab, workspace):
    workspace.write(f'path = "{lab.images["pytorch"]}"', ["accelerate"])

    said = workspace.try_("sync")

    assert said.status == 0
    assert "warning: import accelerate (accelerate) failed: ModuleNotFoundError" in said.err
