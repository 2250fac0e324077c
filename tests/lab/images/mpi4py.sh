# The old conda family: no Python on PATH before `$WITH_CONDA`, a bash command, is run. Real numpy and
# a real mpi4py, whose MPI library only the activation makes loadable.
file=lumi-mpi4py-rocm-6.2.0-python-3.12-mpi4py-3.1.6-dockerhash-f049c8bd4669.sif
parts=(conda.sh make_wheel.py standins/conda standins/conda-activate.sh standins/imgtool.py standins/imgtool-file
  standins/torch/distributed/run.py)
. "$recipes/conda.sh"
python=$(conda_python)

build() {
  root_tree
  conda_prefix mpi4py
  local pip=(in_tree "$prefix/bin/python" -m pip install -q)
  "${pip[@]}" numpy==1.26.4 pyyaml packaging requests
  "${pip[@]}" --prefix /opt/mpich mpich==4.3.2
  in_tree env PATH=/opt/mpich/bin:/usr/bin:/bin MPICC=/opt/mpich/bin/mpicc CFLAGS=-Wno-incompatible-pointer-types \
    "$prefix/bin/python" -m pip install -q --no-build-isolation --no-binary mpi4py mpi4py==3.1.6
  # Without the run path libmpi is found through LD_LIBRARY_PATH alone, as on LUMI.
  patchelf --remove-rpath "$tree$prefix/lib/python$version"/site-packages/mpi4py/MPI*.so
  cat >"$tree$prefix/etc/conda/activate.d/lumi.sh" <<EOF
export LUMILAB_CONDA_ACTIVATED=mpi4py
export LD_LIBRARY_PATH="/opt/mpich/lib:$prefix/lib\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
EOF
  standin_imgtool "$prefix/bin/python"
  # This family has no torch, but a launcher of that kind must see an overlay here too.
  standin "$prefix/bin/python" torchrun-standin 1.0 --console-script torchrun=torchrun_standin:main \
    --file torchrun_standin.py=/mnt/recipes/standins/torch/distributed/run.py
  in_tree "$prefix/bin/python" -m pip check >&2

  # User namespaces hide /proc/PID/fd, which UCX would otherwise use between tasks.
  oci_env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    "WITH_CONDA=source /opt/miniconda3/bin/activate mpi4py" ROCM_RELEASE=6.2.0 UCX_POSIX_USE_PROC_LINK=n
  seal <<<"$conda_runscript"
}
