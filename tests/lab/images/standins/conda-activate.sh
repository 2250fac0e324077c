# Stand-in for conda's activate: to be sourced with an environment's name.
_env="${1:-base}"
if [ ! -d "/opt/miniconda3/envs/$_env" ]; then
  echo "EnvironmentNameNotFound: Could not find conda environment: $_env" >&2
  return 1 2>/dev/null || exit 1
fi
export CONDA_PREFIX="/opt/miniconda3/envs/$_env" CONDA_DEFAULT_ENV="$_env" CONDA_SHLVL=1
export CONDA_EXE=/opt/miniconda3/bin/conda
export PATH="$CONDA_PREFIX/bin:/opt/miniconda3/condabin:$PATH"
PS1="($_env) ${PS1:-}"
for _script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do
  [ -r "$_script" ] && . "$_script"
done
unset _env _script
