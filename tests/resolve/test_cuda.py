"""Which packages are CUDA's libraries, by their names."""

import pytest

from lumienv.image.handmade import snapshot_of_list
from lumienv.resolve.cuda import is_of_cuda, replaced_by_cuda


@pytest.mark.parametrize(
    "name",
    [
        *(
            "nvidia-cublas-cu12",
            "nvidia_nccl_cu12",
            "nvidia-cuda-runtime-cu117",
            "nvidia-nvjpeg2k-tegra-cu12",
        ),
        *("nvidia-cublas", "nvidia-cuda-runtime", "nvidia-cuda-nvrtc", "nvidia-cudnn-cu13", "nvidia-nvtx"),
        *("nvidia-cusparse", "nvidia-cusparselt-cu13", "nvidia-nvjitlink", "nvidia-nvshmem-cu13"),
        *("nvidia-dali-cuda120", "nvidia-nvimgcodec-cu11-stubs"),
    ],
)
def test_a_library_of_cudas_is_known_by_its_name(name: str) -> None:
    assert is_of_cuda(name)


@pytest.mark.parametrize(
    "name",
    [
        *("nvidia-ml-py", "nvidia-ml-py3", "nvidia-modelopt", "nvidia-pyindex", "nvidia-dllogger"),
        *("nvidia-cudnn-frontend", "nvidia-nat-core", "nvidia-sphinx-theme", "torch", "my-nvidia-cublas"),
    ],
)
def test_what_only_comes_from_nvidia_is_no_library_of_cudas(name: str) -> None:
    assert not is_of_cuda(name)


def test_a_build_that_only_reads_nvidias_counters_replaces_the_images_own() -> None:
    """Its requirement of nvidia-ml-py does not make it one for CUDA; one of nvidia-cublas does."""
    image = snapshot_of_list("torch==2.7.1+rocm6.2\n", python="3.12.11", glibc="2.31", name="lumi.sif")
    counters = ["numpy", "nvidia-ml-py>=12"]
    assert replaced_by_cuda("torch", counters, image, {"torch"}) is None
    cuda = [*counters, "NVIDIA.cublas==13.0.0.19; platform_system == 'Linux'"]
    expected = ("2.7.1+rocm6.2", "NVIDIA.cublas==13.0.0.19")
    assert replaced_by_cuda("torch", cuda, image, {"torch"}) == expected
