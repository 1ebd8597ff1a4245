import torch
import triton
import triton.language as tl


@triton.jit
def _max(x, y):
    """The larger one; NaN if either is NaN."""
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def cross_entropy_kernel(
    in_z_ptr, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_row_stride,
    scale_ptr, loss_ptr,
    grad_z_ptr,
    ignore_index, rows, classes,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    col = tl.arange(0, BLOCK)[None, :]
    row_mask = row < rows
    col_mask = col < classes
    mask = row_mask & col_mask
    scale = tl.load(scale_ptr)
    n_classes = tl.cast(classes, tl.float32)

    # An ignored row yields 0; a class index out of range makes its row NaN.
    index_t = tl.load(in_t_ptr + row * in_t_row_stride, mask=row_mask, other=0).to(tl.int64)
    ignored = index_t == ignore_index
    usable = row_mask & (ignored == 0) & (index_t >= 0) & (index_t < classes)
    filler = tl.where(ignored, 0.0, float("nan"))

    at_z = in_z_ptr + row * in_z_row_stride

    # Phase 1 of 3: max over classes.
    v6 = tl.where(usable, index_t, -1).to(tl.int32)
    v7 = tl.load(at_z + v6.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    v0 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
    v12 = col == v6
    v13 = tl.where(v12, 1.0, 0.0)
    v1 = tl.reduce(tl.where(col_mask, v0, float("-inf")), 1, _max, keep_dims=True)

    # Phase 2 of 3: sum over classes.
    v8 = v7 - v1
    v2 = v0 - v1
    v3 = tl.exp(v2)
    v4 = tl.sum(tl.where(col_mask, v3, 0.0), 1, keep_dims=True)

    # Phase 3 of 3: grad_z.
    v5 = tl.log(v4)
    v9 = v5 - v8
    v10 = 1.0 / v4
    v11 = v3 * v10
    v14 = v11 - v13
    if grad_z_ptr is not None:
        scaled = tl.where(usable, v14 * scale, filler)
        tl.store(grad_z_ptr + row * classes + col, scaled.to(grad_z_ptr.dtype.element_ty), mask=mask)

    tl.store(loss_ptr + row, tl.where(usable, v9, filler), mask=row_mask)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def cross_entropy_stream_kernel(
    in_z_ptr, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_row_stride,
    scale_ptr, loss_ptr,
    grad_z_ptr,
    ignore_index, rows, classes,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    row_mask = row < rows
    scale = tl.load(scale_ptr)
    n_classes = tl.cast(classes, tl.float32)

    # An ignored row yields 0; a class index out of range makes its row NaN.
    index_t = tl.load(in_t_ptr + row * in_t_row_stride, mask=row_mask, other=0).to(tl.int64)
    ignored = index_t == ignore_index
    usable = row_mask & (ignored == 0) & (index_t >= 0) & (index_t < classes)
    filler = tl.where(ignored, 0.0, float("nan"))

    at_z = in_z_ptr + row * in_z_row_stride

    # Phase 1 of 2: max over classes, sum over classes.
    v6 = tl.where(usable, index_t, -1).to(tl.int32)
    v7 = tl.load(at_z + v6.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    largest_v1 = tl.full([ROWS, 1], float("-inf"), tl.float32)
    lanes_v4 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    for start in range(0, classes, BLOCK):
        col = start + tl.arange(0, BLOCK)[None, :]
        col_mask = col < classes
        mask = row_mask & col_mask
        v0 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
        before_v1 = largest_v1
        largest_v1 = _max(before_v1, tl.reduce(tl.where(col_mask, v0, float("-inf")), 1, _max, keep_dims=True))
        v1 = tl.where(largest_v1 == float("-inf"), 0.0, largest_v1)
        shrink_v1 = tl.where(largest_v1 == before_v1, 1.0, tl.exp(before_v1 - largest_v1))
        v2 = v0 - v1
        v3 = tl.exp(v2)
        lanes_v4 = lanes_v4 * shrink_v1 + tl.where(col_mask, v3, 0.0)
    v1 = largest_v1
    v4 = tl.where(v1 == float("-inf"), float("nan"), tl.sum(lanes_v4, 1, keep_dims=True))

    # Phase 2 of 2: grad_z.
    v5 = tl.log(v4)
    v8 = v7 - v1
    v9 = v5 - v8
    v10 = 1.0 / v4
    for start in range(0, classes, BLOCK):
        col = start + tl.arange(0, BLOCK)[None, :]
        col_mask = col < classes
        mask = row_mask & col_mask
        v0 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
        v12 = col == v6
        v13 = tl.where(v12, 1.0, 0.0)
        v2 = v0 - v1
        v3 = tl.exp(v2)
        v11 = v3 * v10
        v14 = v11 - v13
        if grad_z_ptr is not None:
            scaled = tl.where(usable, v14 * scale, filler)
            tl.store(grad_z_ptr + row * classes + col, scaled.to(grad_z_ptr.dtype.element_ty), mask=mask)

    tl.store(loss_ptr + row, tl.where(usable, v9, filler), mask=row_mask)


def _tile(classes):
    """The kernel for rows of that many classes, and the rows and classes that a program holds at a time: one
    whole row, or as many short ones as make 1024 values; of a long one a block."""
    if classes > 8192:
        # NVIDIA's assembler would rather spill a little than let a second program of a core wait.
        registers = {} if torch.version.hip else {"maxnreg": 128}
        return cross_entropy_stream_kernel, {"ROWS": 1, "BLOCK": 4096, "num_warps": 16, **registers}
    block = triton.next_power_of_2(max(classes, 1))
    rows = max(1, 1024 // block)
    warps = min(max(rows * block // 512, 4), 16)
    return cross_entropy_kernel, {"ROWS": rows, "BLOCK": block, "num_warps": warps}


def launch(inputs, params, wrt, scale, ignore_index=-100):
    """Loss per row, float32 [rows], and a dict of the gradients named in `wrt`, each times `scale`.

    inputs: z [rows, classes], t [rows]; any strides.
    params: float32 [0]: none.
    scale: float32, one element, on the device.

    A gradient is laid out like its input and has its dtype. What all rows share, a parameter above all, gets
    one float32 term per row, for the caller to sum.
    """
    in_z, in_t = inputs
    rows = in_z.shape[0]
    classes = in_z.shape[-1]
    device = in_z.device
    loss = torch.empty(rows, dtype=torch.float32, device=device)
    grad_z = torch.empty((rows, classes), dtype=in_z.dtype, device=device) if "z" in wrt else None
    kernel, tile = _tile(classes)
    if rows > 0:
        with torch.cuda.device_of(loss):
            kernel[(triton.cdiv(rows, tile["ROWS"]),)](
                in_z, in_z.stride(0), in_z.stride(-1),
                in_t, in_t.stride(0),
                scale, loss,
                grad_z,
                ignore_index, rows, classes,
                **tile,
            )
    grads = {
        "z": grad_z,
    }
    return loss, {name: grads[name] for name in wrt}
