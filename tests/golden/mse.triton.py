import torch
import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows"])
def mse_kernel(
    in_p_ptr, in_p_plane_stride, in_p_row_stride,
    in_y_ptr, in_y_plane_stride, in_y_row_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_p_ptr, grad_y_ptr,
    rows,
    BLOCK: tl.constexpr, ALIGNED: tl.constexpr = False,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    if ALIGNED:  # the compiler sees: a vector of adjacent rows is all within the plane, and is loaded as one
        rows = rows // 16 * 16
    parts = tl.cdiv(rows, BLOCK)
    plane = (tl.program_id(0) // parts).to(tl.int64)
    row = (tl.program_id(0) % parts).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row_mask = row < rows
    scale = tl.load(scale_ptr + plane * scale_plane_stride)

    at_p = in_p_ptr + plane * in_p_plane_stride + row * in_p_row_stride
    at_y = in_y_ptr + plane * in_y_plane_stride + row * in_y_row_stride

    usable, filler = row_mask, 0.0
    if weight_ptr is not None:
        weight = tl.load(weight_ptr + plane * rows + row, mask=row_mask, other=0)
        usable = usable & (weight != 0)
        filler = tl.where(weight == 0, 0.0, filler)
        scale = scale * weight

    # Phase 1 of 1: per sample.
    v0 = tl.load(at_p, mask=row_mask, other=0).to(tl.float32)
    v1 = tl.load(at_y, mask=row_mask, other=0).to(tl.float32)
    v2 = v0 - v1
    v3 = v2 * v2
    v4 = 2.0 * v2
    v5 = -2.0 * v2

    sample = plane * rows + row
    value = v3
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)
    if grad_p_ptr is not None:
        scaled = tl.where(usable, v4 * scale, filler)
        tl.store(grad_p_ptr + sample, scaled.to(grad_p_ptr.dtype.element_ty), mask=row_mask)
    if grad_y_ptr is not None:
        scaled = tl.where(usable, v5 * scale, filler)
        tl.store(grad_y_ptr + sample, scaled.to(grad_y_ptr.dtype.element_ty), mask=row_mask)


TILE = {"BLOCK": 1024, "num_warps": 4}
INPLACE = ()


def _start(kernel, programs, values, sizes):
    """Starts a kernel on the device of the first value."""
    with torch.cuda.device_of(values[0]):
        kernel[(programs,)](*values, **sizes)


def launch(
    inputs, params, wrt, scale, ignore_index=-100, weight=None, inplace=(), start=_start
):  # fmt: skip
    """Loss per row, float32 [rows], and a dict of the gradients named in `wrt`, each times `scale`.

    inputs: p [rows], y [rows]; any strides.
    params: float32 [0]: none.
    scale: float32, one element, on the device.
    weight: float32 [rows], contiguous: what multiplies the loss and the gradients of each row; 0 leaves it out.

    There may be several planes of rows: then inputs, parameters or both have a first axis of that length, and so
    have the results and the weight; scale has one element, or one for each plane. Shared inputs and parameters
    without that axis are the same for all planes.

    A gradient is laid out like its input and has its dtype. What all rows share, a parameter above all, gets
    one float32 term per row, for the caller to sum. Gradients of inputs named in `inplace`, some of INPLACE,
    take their memory, which has to be laid out like a gradient and to be no other input's.

    start: what starts the kernel: a function of it, the number of programs, its arguments, and its sizes by name.
    """
    in_p, in_y = inputs
    flat = in_p.dim() == 1 and in_y.dim() == 1
    planes = 1 if flat else [t.shape[0] for t, axes in ((in_p, 2), (in_y, 2),) if t.dim() == axes][0]
    rows = in_p.shape[-1]
    device = in_p.device
    batch = (rows,) if flat else (planes, rows)
    loss = torch.empty(batch, dtype=torch.float32, device=device)
    grad_p = torch.empty(batch, dtype=in_p.dtype, device=device) if "p" in wrt else None
    grad_y = torch.empty(batch, dtype=in_y.dtype, device=device) if "y" in wrt else None
    kernel, tile = mse_kernel, TILE
    if rows > 0 and planes > 0:
        programs = planes * -(-rows // tile["BLOCK"])
        values = (
            in_p, 0 if flat or in_p.dim() == 1 else in_p.stride(0), in_p.stride(-1),
            in_y, 0 if flat or in_y.dim() == 1 else in_y.stride(0), in_y.stride(-1),
            scale, 1 if scale.numel() > 1 else 0,
            weight, loss,
            grad_p, grad_y,
            rows,
        )
        start(kernel, programs, values, {**tile, "ALIGNED": rows % 16 == 0})
    grads = {
        "p": grad_p,
        "y": grad_y,
    }
    return loss, {name: grads[name] for name in wrt}
