import torch
import triton
import triton.language as tl


@triton.jit
def _sign(x):
    """-1, 0 or 1; NaN stays."""
    return tl.where(x > 0.0, 1.0, tl.where(x < 0.0, -1.0, x))


@triton.jit(do_not_specialize=["rows"])
def huber_kernel(
    in_p_ptr, in_p_row_stride,
    in_y_ptr, in_y_row_stride,
    params_ptr,
    scale_ptr, loss_ptr,
    grad_p_ptr, grad_y_ptr, grad_delta_ptr,
    rows,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row_mask = row < rows
    scale = tl.load(scale_ptr)
    p_delta = tl.load(params_ptr + 0)
    v7 = p_delta / 2.0

    # Phase 1 of 1: per sample.
    v0 = tl.load(in_p_ptr + row * in_p_row_stride, mask=row_mask, other=0).to(tl.float32)
    v1 = tl.load(in_y_ptr + row * in_y_row_stride, mask=row_mask, other=0).to(tl.float32)
    v2 = v0 - v1
    v3 = tl.abs(v2)
    v4 = v3 <= p_delta
    v5 = v2 * v2
    v6 = v5 / 2.0
    v8 = v3 - v7
    v9 = p_delta * v8
    v10 = tl.where(v4, v6, v9)
    v11 = _sign(v2)
    v12 = p_delta * v11
    v13 = tl.where(v4, v2, v12)
    v14 = -v13
    v15 = v8 - v7
    v16 = tl.where(v4, 0.0, v15)

    tl.store(loss_ptr + row, v10, mask=row_mask)
    if grad_p_ptr is not None:
        scaled = v13 * scale
        tl.store(grad_p_ptr + row, scaled.to(grad_p_ptr.dtype.element_ty), mask=row_mask)
    if grad_y_ptr is not None:
        scaled = v14 * scale
        tl.store(grad_y_ptr + row, scaled.to(grad_y_ptr.dtype.element_ty), mask=row_mask)
    if grad_delta_ptr is not None:
        scaled = v16 * scale
        tl.store(grad_delta_ptr + row, scaled.to(grad_delta_ptr.dtype.element_ty), mask=row_mask)


TILE = {"BLOCK": 1024, "num_warps": 4}


def launch(inputs, params, wrt, scale, ignore_index=-100):
    """Loss per row, float32 [rows], and a dict of the gradients named in `wrt`, each times `scale`.

    inputs: p [rows], y [rows]; any strides.
    params: float32 [1]: delta.
    scale: float32, one element, on the device.

    A gradient is laid out like its input and has its dtype. What all rows share, a parameter above all, gets
    one float32 term per row, for the caller to sum.
    """
    in_p, in_y = inputs
    rows = in_p.shape[0]
    device = in_p.device
    loss = torch.empty(rows, dtype=torch.float32, device=device)
    grad_p = torch.empty(rows, dtype=in_p.dtype, device=device) if "p" in wrt else None
    grad_y = torch.empty(rows, dtype=in_y.dtype, device=device) if "y" in wrt else None
    grad_delta = torch.empty(rows, dtype=torch.float32, device=device) if "delta" in wrt else None
    kernel, tile = huber_kernel, TILE
    if rows > 0:
        with torch.cuda.device_of(loss):
            kernel[(triton.cdiv(rows, tile["BLOCK"]),)](
                in_p, in_p.stride(0),
                in_y, in_y.stride(0),
                params,
                scale, loss,
                grad_p, grad_y, grad_delta,
                rows,
                **tile,
            )
    grads = {
        "p": grad_p,
        "y": grad_y,
        "delta": grad_delta,
    }
    return loss, {name: grads[name] for name in wrt}
