"""``pcclust demo``: rotation-invariant features of real shapes, measured and shown."""

import io
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from rich.progress import Progress, TaskID
from torch import Tensor

import pcclust
