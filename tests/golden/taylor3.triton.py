import functools

import torch
import triton
import triton.language as tl


@triton.jit
def _max(x, y):
    """The larger one; NaN if either is NaN."""
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def taylor3_kernel(
    in_z_ptr, in_z_plane_stride, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_plane_stride, in_t_row_stride,
    params_ptr, params_plane_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_z_ptr, grad_th0_ptr, grad_th1_ptr, grad_th2_ptr, grad_th3_ptr, grad_th4_ptr, grad_th5_ptr,
    grad_th6_ptr, grad_th7_ptr,
    out_row_stride, out_class_stride,
    ignore_index, rows, classes,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, ALIGNED: tl.constexpr = False,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    if ALIGNED:  # the compiler sees: a vector of adjacent rows is all within the plane, and is loaded as one
        rows = rows // 16 * 16
    parts = tl.cdiv(rows, ROWS)
    plane = (tl.program_id(0) // parts).to(tl.int64)
    row = (tl.program_id(0) % parts).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    row_mask = row < rows
    col = tl.arange(0, BLOCK)[None, :]
    col_mask = col < classes
    mask = row_mask & col_mask
    scale = tl.load(scale_ptr + plane * scale_plane_stride)
    n_classes = tl.cast(classes, tl.float32)
    p_th0 = tl.load(params_ptr + plane * params_plane_stride + 0)
    p_th1 = tl.load(params_ptr + plane * params_plane_stride + 1)
    p_th2 = tl.load(params_ptr + plane * params_plane_stride + 2)
    p_th3 = tl.load(params_ptr + plane * params_plane_stride + 3)
    p_th4 = tl.load(params_ptr + plane * params_plane_stride + 4)
    p_th5 = tl.load(params_ptr + plane * params_plane_stride + 5)
    p_th6 = tl.load(params_ptr + plane * params_plane_stride + 6)
    p_th7 = tl.load(params_ptr + plane * params_plane_stride + 7)
    v0 = n_classes * p_th1
    v1 = 1.0 - v0
    v2 = p_th2 * v1
    v38 = -1.0 / n_classes
    v39 = p_th7 * v38
    v41 = p_th4 * v38
    v43 = p_th5 * v38
    v47 = p_th6 * v38
    v49 = p_th3 * v38
    v65 = v43 * v1
    v71 = n_classes * p_th0
    v72 = 1.0 - v71
    v73 = v72 * v43
    v80 = p_th2 * v38
    v81 = n_classes * v80
    v84 = v1 * v38

    at_z = in_z_ptr + plane * in_z_plane_stride + row * in_z_row_stride
    at_t = in_t_ptr + plane * in_t_plane_stride + row * in_t_row_stride

    # An ignored row yields 0; a class index out of range makes its row NaN.
    index_t = tl.load(at_t, mask=row_mask, other=0).to(tl.int64)
    ignored = index_t == ignore_index
    usable = row_mask & (ignored == 0) & (index_t >= 0) & (index_t < classes)
    filler = tl.where(ignored, 0.0, float("nan"))
    if weight_ptr is not None:
        weight = tl.load(weight_ptr + plane * rows + row, mask=row_mask, other=0)
        usable = usable & (weight != 0)
        filler = tl.where(weight == 0, 0.0, filler)
        scale = scale * weight

    # Phase 1 of 4: max over classes, sum over classes.
    v19 = tl.where(usable, index_t, -1).to(tl.int32)
    v3 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
    v20 = col == v19
    v21 = tl.where(v20, 1.0, 0.0)
    v22 = v21 - p_th0
    v31 = v22 * v22
    v40 = v31 * v39
    v44 = v43 * v22
    v48 = v47 * v22
    v50 = v48 + v49
    v4 = tl.reduce(tl.where(col_mask, v3, float("-inf")), 1, _max, keep_dims=True)
    v77 = tl.sum(tl.where(col_mask, v31, 0.0), 1, keep_dims=True)

    # Phase 2 of 4: sum over classes.
    v78 = v39 * v77
    v5 = v3 - v4
    v6 = tl.exp(v5)
    v7 = tl.sum(tl.where(col_mask, v6, 0.0), 1, keep_dims=True)

    # Phase 3 of 4: sum over classes.
    v8 = 1.0 / v7
    v9 = v6 * v8
    v10 = v9 - p_th1
    v11 = v10 * v10
    v15 = v11 * v10
    v23 = v22 * v10
    v27 = v11 * v22
    v32 = v31 * v10
    v42 = v11 * v41
    v45 = v42 + v44
    v46 = v41 * v10
    v51 = v46 + v50
    v52 = v51 * v10
    v53 = 2.0 * v52
    v54 = v45 + v53
    v55 = v40 + v54
    v56 = v6 * v55
    v12 = tl.sum(tl.where(col_mask, v11, 0.0), 1, keep_dims=True)
    v16 = tl.sum(tl.where(col_mask, v15, 0.0), 1, keep_dims=True)
    v24 = tl.sum(tl.where(col_mask, v23, 0.0), 1, keep_dims=True)
    v28 = tl.sum(tl.where(col_mask, v27, 0.0), 1, keep_dims=True)
    v33 = tl.sum(tl.where(col_mask, v32, 0.0), 1, keep_dims=True)
    v57 = tl.sum(tl.where(col_mask, v56, 0.0), 1, keep_dims=True)
    v69 = tl.sum(tl.where(col_mask, v52, 0.0), 1, keep_dims=True)

    # Phase 4 of 4: grad_z.
    v13 = p_th3 * v12
    v14 = v2 + v13
    v17 = p_th4 * v16
    v18 = v14 + v17
    v25 = p_th5 * v24
    v26 = v18 + v25
    v29 = p_th6 * v28
    v30 = v26 + v29
    v34 = p_th7 * v33
    v35 = v30 + v34
    v36 = v35 / n_classes
    v37 = -v36
    v58 = v57 * v8
    v62 = v39 * v24
    v63 = 2.0 * v62
    v64 = v47 * v12
    v66 = v64 + v65
    v67 = v63 + v66
    v68 = -v67
    v70 = 2.0 * v69
    v74 = v41 * v12
    v75 = v73 + v74
    v76 = v70 + v75
    v79 = v76 + v78
    v82 = v79 + v81
    v83 = -v82
    v85 = v38 * v12
    v86 = v38 * v16
    v87 = v38 * v24
    v88 = v28 * v38
    v89 = v38 * v33
    v59 = v55 - v58
    v60 = v59 * v6
    v61 = v60 * v8
    destination = plane * rows * classes + row * out_row_stride + col.to(tl.int64) * out_class_stride
    if grad_z_ptr is not None:
        scaled = tl.where(usable, v61 * scale, filler)
        tl.store(grad_z_ptr + destination, scaled.to(grad_z_ptr.dtype.element_ty), mask=mask)

    sample = plane * rows + row
    value = v37
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)
    if grad_th0_ptr is not None:
        scaled = tl.where(usable, v68 * scale, filler)
        tl.store(grad_th0_ptr + sample, scaled.to(grad_th0_ptr.dtype.element_ty), mask=row_mask)
    if grad_th1_ptr is not None:
        scaled = tl.where(usable, v83 * scale, filler)
        tl.store(grad_th1_ptr + sample, scaled.to(grad_th1_ptr.dtype.element_ty), mask=row_mask)
    if grad_th2_ptr is not None:
        scaled = tl.where(usable, v84 * scale, filler)
        tl.store(grad_th2_ptr + sample, scaled.to(grad_th2_ptr.dtype.element_ty), mask=row_mask)
    if grad_th3_ptr is not None:
        scaled = tl.where(usable, v85 * scale, filler)
        tl.store(grad_th3_ptr + sample, scaled.to(grad_th3_ptr.dtype.element_ty), mask=row_mask)
    if grad_th4_ptr is not None:
        scaled = tl.where(usable, v86 * scale, filler)
        tl.store(grad_th4_ptr + sample, scaled.to(grad_th4_ptr.dtype.element_ty), mask=row_mask)
    if grad_th5_ptr is not None:
        scaled = tl.where(usable, v87 * scale, filler)
        tl.store(grad_th5_ptr + sample, scaled.to(grad_th5_ptr.dtype.element_ty), mask=row_mask)
    if grad_th6_ptr is not None:
        scaled = tl.where(usable, v88 * scale, filler)
        tl.store(grad_th6_ptr + sample, scaled.to(grad_th6_ptr.dtype.element_ty), mask=row_mask)
    if grad_th7_ptr is not None:
        scaled = tl.where(usable, v89 * scale, filler)
        tl.store(grad_th7_ptr + sample, scaled.to(grad_th7_ptr.dtype.element_ty), mask=row_mask)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def taylor3_stream_kernel(
    in_z_ptr, in_z_plane_stride, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_plane_stride, in_t_row_stride,
    params_ptr, params_plane_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_z_ptr, grad_th0_ptr, grad_th1_ptr, grad_th2_ptr, grad_th3_ptr, grad_th4_ptr, grad_th5_ptr,
    grad_th6_ptr, grad_th7_ptr,
    out_row_stride, out_class_stride,
    ignore_index, rows, classes,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, ALIGNED: tl.constexpr = False,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    if ALIGNED:  # the compiler sees: a vector of adjacent rows is all within the plane, and is loaded as one
        rows = rows // 16 * 16
    parts = tl.cdiv(rows, ROWS)
    plane = (tl.program_id(0) // parts).to(tl.int64)
    row = (tl.program_id(0) % parts).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    row_mask = row < rows
    scale = tl.load(scale_ptr + plane * scale_plane_stride)
    n_classes = tl.cast(classes, tl.float32)
    p_th0 = tl.load(params_ptr + plane * params_plane_stride + 0)
    p_th1 = tl.load(params_ptr + plane * params_plane_stride + 1)
    p_th2 = tl.load(params_ptr + plane * params_plane_stride + 2)
    p_th3 = tl.load(params_ptr + plane * params_plane_stride + 3)
    p_th4 = tl.load(params_ptr + plane * params_plane_stride + 4)
    p_th5 = tl.load(params_ptr + plane * params_plane_stride + 5)
    p_th6 = tl.load(params_ptr + plane * params_plane_stride + 6)
    p_th7 = tl.load(params_ptr + plane * params_plane_stride + 7)
    v0 = n_classes * p_th1
    v1 = 1.0 - v0
    v2 = p_th2 * v1
    v38 = -1.0 / n_classes
    v39 = p_th7 * v38
    v41 = p_th4 * v38
    v43 = p_th5 * v38
    v47 = p_th6 * v38
    v49 = p_th3 * v38
    v65 = v43 * v1
    v71 = n_classes * p_th0
    v72 = 1.0 - v71
    v73 = v72 * v43
    v80 = p_th2 * v38
    v81 = n_classes * v80
    v84 = v1 * v38

    at_z = in_z_ptr + plane * in_z_plane_stride + row * in_z_row_stride
    at_t = in_t_ptr + plane * in_t_plane_stride + row * in_t_row_stride

    # An ignored row yields 0; a class index out of range makes its row NaN.
    index_t = tl.load(at_t, mask=row_mask, other=0).to(tl.int64)
    ignored = index_t == ignore_index
    usable = row_mask & (ignored == 0) & (index_t >= 0) & (index_t < classes)
    filler = tl.where(ignored, 0.0, float("nan"))
    if weight_ptr is not None:
        weight = tl.load(weight_ptr + plane * rows + row, mask=row_mask, other=0)
        usable = usable & (weight != 0)
        filler = tl.where(weight == 0, 0.0, filler)
        scale = scale * weight

    # Phase 1 of 3: max over classes, sum over classes.
    v19 = tl.where(usable, index_t, -1).to(tl.int32)
    largest_v4 = tl.full([ROWS, 1], float("-inf"), tl.float32)
    lanes_v7 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v77 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    for start in range(0, classes, BLOCK):
        col = start + tl.arange(0, BLOCK)[None, :]
        col_mask = col < classes
        mask = row_mask & col_mask
        v3 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
        before_v4 = largest_v4
        largest_v4 = _max(before_v4, tl.reduce(tl.where(col_mask, v3, float("-inf")), 1, _max, keep_dims=True))
        v4 = tl.where(largest_v4 == float("-inf"), 0.0, largest_v4)
        shrink_v4 = tl.where(largest_v4 == before_v4, 1.0, tl.exp(before_v4 - largest_v4))
        v20 = col == v19
        v21 = tl.where(v20, 1.0, 0.0)
        v22 = v21 - p_th0
        v31 = v22 * v22
        v5 = v3 - v4
        v6 = tl.exp(v5)
        lanes_v7 = lanes_v7 * shrink_v4 + tl.where(col_mask, v6, 0.0)
        lanes_v77 = lanes_v77 + tl.where(col_mask, v31, 0.0)
    v4 = largest_v4
    v7 = tl.where(v4 == float("-inf"), float("nan"), tl.sum(lanes_v7, 1, keep_dims=True))
    v77 = tl.sum(lanes_v77, 1, keep_dims=True)

    # Phase 2 of 3: sum over classes.
    v8 = 1.0 / v7
    v78 = v39 * v77
    lanes_v12 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v16 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v24 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v28 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v33 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v57 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v69 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    for start in range(0, classes, BLOCK):
        col = start + tl.arange(0, BLOCK)[None, :]
        col_mask = col < classes
        mask = row_mask & col_mask
        v3 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
        v20 = col == v19
        v21 = tl.where(v20, 1.0, 0.0)
        v22 = v21 - p_th0
        v31 = v22 * v22
        v40 = v31 * v39
        v44 = v43 * v22
        v48 = v47 * v22
        v50 = v48 + v49
        v5 = v3 - v4
        v6 = tl.exp(v5)
        v9 = v6 * v8
        v10 = v9 - p_th1
        v11 = v10 * v10
        v15 = v11 * v10
        v23 = v22 * v10
        v27 = v11 * v22
        v32 = v31 * v10
        v42 = v11 * v41
        v45 = v42 + v44
        v46 = v41 * v10
        v51 = v46 + v50
        v52 = v51 * v10
        v53 = 2.0 * v52
        v54 = v45 + v53
        v55 = v40 + v54
        v56 = v6 * v55
        lanes_v12 = lanes_v12 + tl.where(col_mask, v11, 0.0)
        lanes_v16 = lanes_v16 + tl.where(col_mask, v15, 0.0)
        lanes_v24 = lanes_v24 + tl.where(col_mask, v23, 0.0)
        lanes_v28 = lanes_v28 + tl.where(col_mask, v27, 0.0)
        lanes_v33 = lanes_v33 + tl.where(col_mask, v32, 0.0)
        lanes_v57 = lanes_v57 + tl.where(col_mask, v56, 0.0)
        lanes_v69 = lanes_v69 + tl.where(col_mask, v52, 0.0)
    v12 = tl.sum(lanes_v12, 1, keep_dims=True)
    v16 = tl.sum(lanes_v16, 1, keep_dims=True)
    v24 = tl.sum(lanes_v24, 1, keep_dims=True)
    v28 = tl.sum(lanes_v28, 1, keep_dims=True)
    v33 = tl.sum(lanes_v33, 1, keep_dims=True)
    v57 = tl.sum(lanes_v57, 1, keep_dims=True)
    v69 = tl.sum(lanes_v69, 1, keep_dims=True)

    # Phase 3 of 3: grad_z.
    v13 = p_th3 * v12
    v14 = v2 + v13
    v17 = p_th4 * v16
    v18 = v14 + v17
    v25 = p_th5 * v24
    v26 = v18 + v25
    v29 = p_th6 * v28
    v30 = v26 + v29
    v34 = p_th7 * v33
    v35 = v30 + v34
    v36 = v35 / n_classes
    v37 = -v36
    v58 = v57 * v8
    v62 = v39 * v24
    v63 = 2.0 * v62
    v64 = v47 * v12
    v66 = v64 + v65
    v67 = v63 + v66
    v68 = -v67
    v70 = 2.0 * v69
    v74 = v41 * v12
    v75 = v73 + v74
    v76 = v70 + v75
    v79 = v76 + v78
    v82 = v79 + v81
    v83 = -v82
    v85 = v38 * v12
    v86 = v38 * v16
    v87 = v38 * v24
    v88 = v28 * v38
    v89 = v38 * v33
    for start in range(0, classes, BLOCK):
        col = start + tl.arange(0, BLOCK)[None, :]
        col_mask = col < classes
        mask = row_mask & col_mask
        v3 = tl.load(at_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
        v20 = col == v19
        v21 = tl.where(v20, 1.0, 0.0)
        v22 = v21 - p_th0
        v31 = v22 * v22
        v40 = v31 * v39
        v44 = v43 * v22
        v48 = v47 * v22
        v50 = v48 + v49
        v5 = v3 - v4
        v6 = tl.exp(v5)
        v9 = v6 * v8
        v10 = v9 - p_th1
        v11 = v10 * v10
        v42 = v11 * v41
        v45 = v42 + v44
        v46 = v41 * v10
        v51 = v46 + v50
        v52 = v51 * v10
        v53 = 2.0 * v52
        v54 = v45 + v53
        v55 = v40 + v54
        v59 = v55 - v58
        v60 = v59 * v6
        v61 = v60 * v8
        destination = plane * rows * classes + row * out_row_stride + col.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled = tl.where(usable, v61 * scale, filler)
            tl.store(grad_z_ptr + destination, scaled.to(grad_z_ptr.dtype.element_ty), mask=mask)

    sample = plane * rows + row
    value = v37
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)
    if grad_th0_ptr is not None:
        scaled = tl.where(usable, v68 * scale, filler)
        tl.store(grad_th0_ptr + sample, scaled.to(grad_th0_ptr.dtype.element_ty), mask=row_mask)
    if grad_th1_ptr is not None:
        scaled = tl.where(usable, v83 * scale, filler)
        tl.store(grad_th1_ptr + sample, scaled.to(grad_th1_ptr.dtype.element_ty), mask=row_mask)
    if grad_th2_ptr is not None:
        scaled = tl.where(usable, v84 * scale, filler)
        tl.store(grad_th2_ptr + sample, scaled.to(grad_th2_ptr.dtype.element_ty), mask=row_mask)
    if grad_th3_ptr is not None:
        scaled = tl.where(usable, v85 * scale, filler)
        tl.store(grad_th3_ptr + sample, scaled.to(grad_th3_ptr.dtype.element_ty), mask=row_mask)
    if grad_th4_ptr is not None:
        scaled = tl.where(usable, v86 * scale, filler)
        tl.store(grad_th4_ptr + sample, scaled.to(grad_th4_ptr.dtype.element_ty), mask=row_mask)
    if grad_th5_ptr is not None:
        scaled = tl.where(usable, v87 * scale, filler)
        tl.store(grad_th5_ptr + sample, scaled.to(grad_th5_ptr.dtype.element_ty), mask=row_mask)
    if grad_th6_ptr is not None:
        scaled = tl.where(usable, v88 * scale, filler)
        tl.store(grad_th6_ptr + sample, scaled.to(grad_th6_ptr.dtype.element_ty), mask=row_mask)
    if grad_th7_ptr is not None:
        scaled = tl.where(usable, v89 * scale, filler)
        tl.store(grad_th7_ptr + sample, scaled.to(grad_th7_ptr.dtype.element_ty), mask=row_mask)


TILES = {
    # By architecture: values of a program at most, its kernel, and how it is launched.
    "any": (
        (1024, taylor3_kernel, {"num_warps": 4, "maxnreg": 128}),
        (2048, taylor3_kernel, {"num_warps": 4, "maxnreg": 128}),
        (4096, taylor3_kernel, {"num_warps": 8, "maxnreg": 128}),
        (2048, taylor3_stream_kernel, {"num_warps": 16, "maxnreg": 128}),
    ),
}


@functools.cache
def _arch(device):
    if device.type != "cuda" or torch.version.hip:
        return "hip" if torch.version.hip else "any"
    return "cuda:{}{}".format(*torch.cuda.get_device_capability(device))


@functools.lru_cache(1024)
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
INPLACE = ('z',)


def _room(planes, rows, classes, across, dtype, device):
    """Room for a gradient [planes, rows, classes], in memory with the rows side by side if `across`."""
    if across:
        return torch.empty((planes, classes, rows), dtype=dtype, device=device).transpose(1, 2)
    return torch.empty((planes, rows, classes), dtype=dtype, device=device)


def launch(inputs, params, wrt, scale, ignore_index=-100, weight=None, inplace=()):
    """Loss per row, float32 [rows], and a dict of the gradients named in `wrt`, each times `scale`.

    inputs: z [rows, classes], t [rows]; any strides.
    params: float32 [8]: th0, th1, th2, th3, th4, th5, th6, th7.
    scale: float32, one element, on the device.
    weight: float32 [rows], contiguous: what multiplies the loss and the gradients of each row; 0 leaves it out.

    There may be several planes of rows: then inputs, parameters or both have a first axis of that length, and so
    have the results and the weight; scale has one element, or one for each plane. Shared inputs and parameters
    without that axis are the same for all planes.

    A gradient is laid out like its input and has its dtype. What all rows share, a parameter above all, gets
    one float32 term per row, for the caller to sum. Gradients of inputs named in `inplace`, some of INPLACE,
    take their memory, which has to be laid out like a gradient and to be no other input's.
    """
    in_z, in_t = inputs
    planes = [t.shape[0] for t, axes in ((in_z, 3), (in_t, 2), (params, 2),) if t.dim() == axes]
    flat, planes = not planes, planes[0] if planes else 1
    rows = in_z.shape[-2]
    device = in_z.device
    classes = in_z.shape[-1]
    across = not flat and in_z.stride(-1) > in_z.stride(-2)
    out_row_stride, out_class_stride = (1, rows) if across else (classes, 1)
    loss = torch.empty((planes, rows), dtype=torch.float32, device=device)
    if "z" in inplace:
        grad_z = in_z[None] if flat else in_z
    else:
        grad_z = _room(planes, rows, classes, across, dtype=in_z.dtype, device=device) if "z" in wrt else None
    grad_th0 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th0" in wrt else None
    grad_th1 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th1" in wrt else None
    grad_th2 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th2" in wrt else None
    grad_th3 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th3" in wrt else None
    grad_th4 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th4" in wrt else None
    grad_th5 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th5" in wrt else None
    grad_th6 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th6" in wrt else None
    grad_th7 = torch.empty((planes, rows), dtype=torch.float32, device=device) if "th7" in wrt else None
    kernel, tile = _tile(_arch(device), classes, rows if across else 1, across)
    if rows > 0 and planes > 0:
        with torch.cuda.device_of(loss):
            kernel[(planes * triton.cdiv(rows, tile["ROWS"]),)](
                in_z, in_z.stride(0) if in_z.dim() > 2 else 0, in_z.stride(-2), in_z.stride(-1),
                in_t, in_t.stride(0) if in_t.dim() > 1 else 0, in_t.stride(-1),
                params, params.stride(0) if params.dim() > 1 else 0,
                scale, 1 if scale.numel() > 1 else 0,
                weight, loss,
                grad_z, grad_th0, grad_th1, grad_th2, grad_th3, grad_th4, grad_th5, grad_th6, grad_th7,
                out_row_stride, out_class_stride,
                ignore_index, rows, classes,
                **tile, ALIGNED=across and rows % 16 == 0,
            )
    grads = {
        "z": grad_z,
        "th0": grad_th0,
        "th1": grad_th1,
        "th2": grad_th2,
        "th3": grad_th3,
        "th4": grad_th4,
        "th5": grad_th5,
        "th6": grad_th6,
        "th7": grad_th7,
    }
    if flat:
        return loss[0], {name: grads[name][0] for name in wrt}
    return loss, {name: grads[name] for name in wrt}
