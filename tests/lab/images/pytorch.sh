# The auto-activated conda family: Python on PATH at once, `$WITH_CONDA` is `true`. Real small
# packages around stand-ins of torch and its kin with the real ones' requirements.
file=lumi-pytorch-rocm-6.2.4-python-3.12-pytorch-v2.7.1-dockerhash-0d479e852886.sif
parts=(conda.sh make_wheel.py standins)
. "$recipes/conda.sh"
python=$(conda_python)

build() {
  root_tree
  conda_prefix pytorch
  local py=$prefix/bin/python
  in_tree "$py" -m pip install -q numpy==1.26.4 filelock typing-extensions sympy networkx jinja2 'fsspec<=2025.3.0' \
    huggingface_hub==0.34.4 transformers==4.55.4 tokenizers safetensors 'pillow<12' packaging==25.0
  standin "$py" pytorch-triton-rocm 3.3.1 --stub triton/__init__.py 'setuptools>=40.8.0'
  standin_torch "$py" 2.7.1+rocm6.2.4 6.2.41134-65d174c3e filelock 'typing-extensions>=4.10.0' \
    'setuptools; python_version >= "3.12"' 'sympy>=1.13.3' networkx jinja2 fsspec \
    'pytorch-triton-rocm==3.3.1; platform_system == "Linux" and platform_machine == "x86_64"' \
    'optree>=0.13.0; extra == "optree"' 'opt-einsum>=3.3; extra == "opt-einsum"'
  standin "$py" torchvision 0.22.1+rocm6.2.4 --stub torchvision/__init__.py numpy torch==2.7.1 'pillow!=8.3.*,>=5.3.0'
  standin "$py" vllm 0.10.1.1+rocm624 --stub vllm/__init__.py 'numpy<2' 'transformers<5,>=4.55.2' \
    'tokenizers>=0.21.1' torch==2.7.1 'huggingface-hub>=0.33.0'
  standin_imgtool "$py"
  in_tree "$py" -m pip check >&2

  local mpich=/opt/cray/pe/mpich/8.1.29/ofi/gnu/12.3/lib-abi-mpich
  oci_env "PATH=$prefix/bin:/opt/miniconda3/condabin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    WITH_CONDA=true CONDA_DEFAULT_ENV=pytorch "CONDA_PREFIX=$prefix" CONDA_SHLVL=1 ROCM_PATH=/opt/rocm \
    NCCL_SOCKET_IFNAME=hsn0,hsn1,hsn2,hsn3 NCCL_NET_GDR_LEVEL=PHB FI_MR_CACHE_MONITOR=userfaultfd \
    FI_CXI_DEFAULT_CQ_SIZE=131072 \
    "LD_LIBRARY_PATH=/opt/aws-ofi-rccl:/opt/cray/libfabric/1.15.2.0/lib64:$mpich:/opt/rocm/lib"
  seal <<<"$conda_runscript"
}
