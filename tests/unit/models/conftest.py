"""One thread: networks this small only lose by sharing, and lose most on a busy machine."""

import torch

torch.set_num_threads(1)
