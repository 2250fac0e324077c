# The LAIF family: no conda, a venv in /opt/venv made visible by PYTHONPATH, a software list in
# /.sbom.json, and a runscript that `exec` skips. Debian's Python 3.13, not LUMI's 3.12, so that a
# hard-coded path shows.
file=lumi-multitorch-full-u24r70f21m50t210-20260807_115122.sif
parts=(make_wheel.py sbom.py standins)
python="Debian $suite's python3"

build() {
  root_tree python3,python3-venv,python3-dev
  local py=/opt/venv/bin/python version
  in_tree /usr/bin/python3 -m venv /opt/venv
  version=$(in_tree $py -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  in_tree $py -m pip install -q 'numpy>=2.1,<2.4' pyyaml requests tqdm==4.66.5 packaging==24.2 'setuptools<80' filelock \
    typing-extensions sympy networkx jinja2 fsspec pillow
  standin $py triton-rocm 3.6.0 --stub triton/__init__.py
  standin $py fake-triton 3.6.0 --stub _fake_triton.py triton-rocm==3.6.0
  standin_torch $py 2.10.0+rocm7.0.lumi.aif.20260415153022 7.0.51831 filelock 'typing-extensions>=4.10.0' \
    'setuptools; python_version >= "3.12"' 'sympy>=1.13.3' 'networkx>=2.5.1' jinja2 'fsspec>=0.8.5' \
    'triton-rocm==3.6.0; platform_system == "Linux"' 'optree>=0.13.0; extra == "optree"'
  standin $py vllm 0.16.0+lumi.aif.gfx90a.89a77b1 --stub vllm/__init__.py numpy torch==2.10.0 tqdm
  standin_imgtool $py
  in_tree $py -m pip check >&2
  in_tree $py /mnt/recipes/sbom.py /.sbom.json
  cp "$tree/.sbom.json" "$out/${file%.sif}.json"

  oci_env PATH=/opt/venv/bin:/opt/rocm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "PYTHONPATH=/opt/venv/lib/python$version/site-packages:" ROCM_PATH=/opt/rocm \
    MPIR_CVAR_ENABLE_GPU=1 MPIR_CVAR_CH4_OFI_ENABLE_HMEM=1 MPIR_CVAR_CH4_OFI_ENABLE_MR_HMEM=1
  seal <<'EOF'
if [ "${ROCR_USE_SLURM_LOCALID}" = 1 ] && [ -n "${SLURM_LOCALID}" ]; then
    export ROCR_VISIBLE_DEVICES="$SLURM_LOCALID"
fi
if [ "${SLURM_NNODES}" = 1 ] && [ -z "${SLURM_GPUS_ON_NODE}" ]; then export FI_HMEM_DISABLE_P2P=1; fi
exec "$@"
EOF
}
