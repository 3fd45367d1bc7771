"""In which precision a network trains where nobody has chosen: by what the processor multiplies."""

import torch


def chosen_precision(name: str, accelerator: str) -> str:
    """Return ``name``, and for ``auto`` the faster one of ``bf16-mixed`` and ``32-true``.

    By capability and not by a measurement, so that the same machine always computes the same: a
    GPU that multiplies matrices of bfloat16 (NVIDIA since Ampere), a CPU with tiles for it (Intel
    AMX). Other CPUs are slower in bfloat16 (`benchmarks.step`). Weights, optimizer and losses are
    in 32 bits either way.

    Parameters
    ----------
    name
        A precision of Lightning Fabric, or ``auto``.
    accelerator
        ``auto``, ``cpu`` or ``gpu``; ``auto`` is a GPU where there is one.
    """
    if name != "auto":
        return name
    if accelerator != "cpu" and torch.cuda.is_available():
        multiplies = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator != "cpu" and torch.backends.mps.is_available():
        multiplies = False
    else:
        multiplies = bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return "bf16-mixed" if multiplies else "32-true"
