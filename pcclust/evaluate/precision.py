"""Whether a machine multiplies in half precision."""

import torch

from pcclust.evaluate.forward import Precision


def check_precision(precision: Precision, device: torch.device | str | None) -> None:
    """Raises where products of bfloat16 would be slower than those of float32.

    Args:
        precision: that is wished.
        device: where the model is to run; the CPU if None.

    Raises:
        ValueError: "bfloat16" on a processor or GPU without instructions for it.
    """
    if precision == "float32":
        return
    kind = torch.device(device or "cpu").type
    has = torch.cuda.is_bf16_supported() if kind == "cuda" else _cpu_has_bfloat16()
    if not has:
        raise ValueError(
            f"precision bfloat16 needs a {'GPU' if kind == 'cuda' else 'processor'} that "
            "multiplies in it (AVX512-BF16 or AMX on a CPU); here it would be slower than float32, "
            "so leave it out"
        )


def _cpu_has_bfloat16() -> bool:
    capabilities = torch.backends.cpu.get_cpu_capability()
    names = (torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported)
    return capabilities.startswith("AVX512") and any(supported() for supported in names)
