import torch
import triton
import triton.language as tl


@triton.jit
def _max(x, y):
    """The larger one; NaN if either is NaN."""
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def baikal_kernel(
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
    v19 = -1.0 / n_classes

    # An ignored row yields 0; a class index out of range makes its row NaN.
    index_t = tl.load(in_t_ptr + row * in_t_row_stride, mask=row_mask, other=0).to(tl.int64)
    ignored = index_t == ignore_index
    usable = row_mask & (ignored == 0) & (index_t >= 0) & (index_t < classes)
    filler = tl.where(ignored, 0.0, float("nan"))

    at_z = in_z_ptr + row * in_z_row_stride

    # Phase 1 of 3: max over classes.
    v9 = tl.where(usable, index_t, -1).to(tl.int32)
    v10 = tl.load(at_z + v9.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    v0 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
    v17 = col == v9
    v18 = tl.where(v17, 1.0, 0.0)
    v1 = tl.reduce(tl.where(col_mask, v0, float("-inf")), 1, _max, keep_dims=True)

    # Phase 2 of 3: sum over classes.
    v11 = v10 - v1
    v2 = v0 - v1
    v4 = tl.exp(v2)
    v3 = tl.sum(tl.where(col_mask, v2, 0.0), 1, keep_dims=True)
    v5 = tl.sum(tl.where(col_mask, v4, 0.0), 1, keep_dims=True)

    # Phase 3 of 3: grad_z.
    v6 = tl.log(v5)
    v7 = n_classes * v6
    v8 = v3 - v7
    v12 = v6 - v11
    v13 = tl.exp(v12)
    v14 = v8 - v13
    v15 = v14 / n_classes
    v16 = -v15
    v20 = v13 * v19
    v23 = 1.0 / v5
    v25 = -1.0 + v20
    v21 = v18 * v20
    v22 = v21 + v19
    v24 = v4 * v23
    v26 = v24 * v25
    v27 = v22 - v26
    if grad_z_ptr is not None:
        scaled = tl.where(usable, v27 * scale, filler)
        tl.store(grad_z_ptr + row * classes + col, scaled.to(grad_z_ptr.dtype.element_ty), mask=mask)

    tl.store(loss_ptr + row, tl.where(usable, v16, filler), mask=row_mask)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def baikal_stream_kernel(
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
    v20 = -1.0 / n_classes

    # An ignored row yields 0; a class index out of range makes its row NaN.
    index_t = tl.load(in_t_ptr + row * in_t_row_stride, mask=row_mask, other=0).to(tl.int64)
    ignored = index_t == ignore_index
    usable = row_mask & (ignored == 0) & (index_t >= 0) & (index_t < classes)
    filler = tl.where(ignored, 0.0, float("nan"))

    at_z = in_z_ptr + row * in_z_row_stride

    # Phase 1 of 2: max over classes, sum over classes.
    v10 = tl.where(usable, index_t, -1).to(tl.int32)
    v11 = tl.load(at_z + v10.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    largest_v1 = tl.full([ROWS, 1], float("-inf"), tl.float32)
    lanes_v3 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v4 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v6 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    for start in range(0, classes, BLOCK):
        col = start + tl.arange(0, BLOCK)[None, :]
        col_mask = col < classes
        mask = row_mask & col_mask
        v0 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
        before_v1 = largest_v1
        largest_v1 = _max(before_v1, tl.reduce(tl.where(col_mask, v0, float("-inf")), 1, _max, keep_dims=True))
        v1 = tl.where(largest_v1 == float("-inf"), 0.0, largest_v1)
        shrink_v1 = tl.where(largest_v1 == before_v1, 1.0, tl.exp(before_v1 - largest_v1))
        grown_v1 = tl.where(before_v1 == float("-inf"), 0.0, largest_v1 - before_v1)
        v2 = v0 - v1
        v5 = tl.exp(v2)
        lanes_v3 = (lanes_v3 - grown_v1 * lanes_v4) + tl.where(col_mask, v2, 0.0)
        lanes_v4 = lanes_v4 + tl.where(col_mask, 1.0, 0.0)
        lanes_v6 = lanes_v6 * shrink_v1 + tl.where(col_mask, v5, 0.0)
    v1 = largest_v1
    v3 = tl.where(v1 == float("-inf"), float("nan"), tl.sum(lanes_v3, 1, keep_dims=True))
    v4 = tl.sum(lanes_v4, 1, keep_dims=True)
    v6 = tl.where(v1 == float("-inf"), float("nan"), tl.sum(lanes_v6, 1, keep_dims=True))

    # Phase 2 of 2: grad_z.
    v7 = tl.log(v6)
    v8 = n_classes * v7
    v9 = v3 - v8
    v12 = v11 - v1
    v13 = v7 - v12
    v14 = tl.exp(v13)
    v15 = v9 - v14
    v16 = v15 / n_classes
    v17 = -v16
    v21 = v14 * v20
    v24 = 1.0 / v6
    v26 = -1.0 + v21
    for start in range(0, classes, BLOCK):
        col = start + tl.arange(0, BLOCK)[None, :]
        col_mask = col < classes
        mask = row_mask & col_mask
        v0 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
        v18 = col == v10
        v19 = tl.where(v18, 1.0, 0.0)
        v2 = v0 - v1
        v5 = tl.exp(v2)
        v22 = v19 * v21
        v23 = v22 + v20
        v25 = v5 * v24
        v27 = v25 * v26
        v28 = v23 - v27
        if grad_z_ptr is not None:
            scaled = tl.where(usable, v28 * scale, filler)
            tl.store(grad_z_ptr + row * classes + col, scaled.to(grad_z_ptr.dtype.element_ty), mask=mask)

    tl.store(loss_ptr + row, tl.where(usable, v17, filler), mask=row_mask)


def _tile(classes):
    """The kernel for rows of that many classes, and the rows and classes that a program holds at a time: one
    whole row, or as many short ones as make 1024 values; of a long one a block."""
    if classes > 8192:
        # NVIDIA's assembler would rather spill a little than let a second program of a core wait.
        registers = {} if torch.version.hip else {"maxnreg": 128}
        return baikal_stream_kernel, {"ROWS": 1, "BLOCK": 4096, "num_warps": 16, **registers}
    block = triton.next_power_of_2(max(classes, 1))
    rows = max(1, 1024 // block)
    warps = min(max(rows * block // 512, 4), 16)
    return baikal_kernel, {"ROWS": rows, "BLOCK": block, "num_warps": warps}


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
