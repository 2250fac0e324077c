#!/bin/sh
#SBATCH --account=project_465000000
#SBATCH --partition=small
#SBATCH --array=0-3
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --time=00:10:00
#SBATCH --output=%A_%a.out

lumienv run -- python try_rate.py
