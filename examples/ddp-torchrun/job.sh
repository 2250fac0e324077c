#!/bin/sh
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=2
#SBATCH --time=00:05:00
#SBATCH --output=ddp.out

lumienv run -- torchrun train.py
