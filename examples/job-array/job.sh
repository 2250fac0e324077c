#!/bin/sh
#SBATCH --array=0-3
#SBATCH --ntasks=1
#SBATCH --time=00:05:00
#SBATCH --output=%A_%a.out

lumienv run -- python try_rate.py
