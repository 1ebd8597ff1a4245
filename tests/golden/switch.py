@triton.jit(do_not_specialize=["ignore_index", "rows"])
def switch_kernel(
    which_ptr,
    in_0_ptr, in_0_plane_stride, in_0_row_stride, in_0_class_stride,
    in_1_ptr, in_1_plane_stride, in_1_row_stride,
    params_ptr, params_plane_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_0_ptr, grad_p_gamma_ptr, grad_p_q_ptr,
    out_row_stride, out_class_stride,
    ignore_index, rows, classes,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, ALIGNED: tl.constexpr = False,
):  # fmt: skip
    """The loss of each plane and its gradients, times scale."""
    which = tl.load(which_ptr + tl.program_id(0) // tl.cdiv(rows, ROWS))
    if which == 0:
        focal_0_kernel(
            in_0_ptr, in_0_plane_stride, in_0_row_stride, in_0_class_stride, in_1_ptr, in_1_plane_stride,
            in_1_row_stride, params_ptr, params_plane_stride, scale_ptr, scale_plane_stride, weight_ptr,
            loss_ptr, grad_0_ptr, grad_p_gamma_ptr, out_row_stride, out_class_stride, ignore_index, rows,
            classes, ROWS=ROWS, BLOCK=BLOCK, ALIGNED=ALIGNED,
        )
    if which == 1:
        gce_1_kernel(
            in_0_ptr, in_0_plane_stride, in_0_row_stride, in_0_class_stride, in_1_ptr, in_1_plane_stride,
            in_1_row_stride, params_ptr, params_plane_stride, scale_ptr, scale_plane_stride, weight_ptr,
            loss_ptr, grad_0_ptr, grad_p_q_ptr, out_row_stride, out_class_stride, ignore_index, rows, classes,
            ROWS=ROWS, BLOCK=BLOCK, ALIGNED=ALIGNED,
        )


TILES = {
    # By architecture: values of a program at most, its kernel, and how it is launched.
    "any": (
        (1024, switch_kernel, {"num_warps": 4, "maxnreg": 128}),
        (2048, switch_kernel, {"num_warps": 4, "maxnreg": 128}),
        (4096, switch_kernel, {"num_warps": 8, "maxnreg": 128}),
        (8192, switch_kernel, {"num_warps": 16, "maxnreg": 128}),
    ),
}


@cache
def _arch(device):
    if device.type != "cuda" or torch.version.hip:
        return "hip" if torch.version.hip else "any"
    return "cuda:{}{}".format(*torch.cuda.get_device_capability(device))


@lru_cache(1024)
def _tile(arch, classes, rows=1, across=False):
    """The kernel for rows of that many classes, what a program of it holds, and how it is launched.

    That is one whole row, or as many short ones as there is room for; of a long one a block. `across`:
    `rows` rows lie side by side in memory, not their classes.
    """
    block = triton.next_power_of_2(max(classes, 1))
    least = min(32, triton.next_power_of_2(max(rows, 1))) if across else 1
    for most, kernel, how in TILES.get(arch, TILES["any"]):
        if block * least <= most and not (across and "num_ctas" in how):
            break
    block = min(block, most // least)
    height = most // block
    if across:
        height = min(height, triton.next_power_of_2(max(rows, 1)))
    # AMD's warps have 64 lanes, and the registers of NVIDIA's mean nothing to it.
    how = {"num_warps": max(how["num_warps"] // 2, 1)} if arch == "hip" else how
    return kernel, {"ROWS": height, "BLOCK": block, **how}


LONGEST = 8192


def launch(which, inputs, params, wrt, scale, ignore_index=-100):
    """Loss per row, float32 [planes, rows], and a dict of the gradients named in `wrt`, each times `scale`.

    which: int32 [planes]: the loss of each plane.
    inputs: in the order of the losses, with a first axis for planes or the same for all; any strides.
    params: float32 [planes, K]: those of the loss of each plane, in its own order.
    scale: float32, one element, or one for each plane.

    0: focal_0(gamma)
    1: gce_1(q)

    A gradient is laid out like its input and has its dtype. What all rows share gets one float32 term per
    row, and a plane whose loss has no such parameter gets zeros.
    """
    in_0, in_1 = inputs
    rows = in_0.shape[-2]
    device = in_0.device
    classes = in_0.shape[-1]
    planes = which.shape[0]
    loss = torch.empty((planes, rows), dtype=torch.float32, device=device)
    grad_0 = torch.empty((planes, rows, classes), dtype=in_0.dtype, device=device) if "0" in wrt else None
    grad_p_gamma = torch.zeros((planes, rows), dtype=torch.float32, device=device) if "p_gamma" in wrt else None
    grad_p_q = torch.zeros((planes, rows), dtype=torch.float32, device=device) if "p_q" in wrt else None
    tile = _tile(_arch(device), classes)[1]
    if rows > 0 and planes > 0:
        with torch.cuda.device_of(loss):
            switch_kernel[(planes * triton.cdiv(rows, tile["ROWS"]),)](
                which,
                in_0, in_0.stride(0) if in_0.dim() > 2 else 0, in_0.stride(-2), in_0.stride(-1),
                in_1, in_1.stride(0) if in_1.dim() > 1 else 0, in_1.stride(-1),
                params, params.stride(0) if params.dim() > 1 else 0,
                scale, 1 if scale.numel() > 1 else 0,
                None, loss,
                grad_0, grad_p_gamma, grad_p_q,
                classes, 1,
                ignore_index, rows, classes,
                **tile, ALIGNED=False,
            )
    grads = {"0": grad_0, "p_gamma": grad_p_gamma, "p_q": grad_p_q}
    return loss, {name: grads[name] for name in wrt}
