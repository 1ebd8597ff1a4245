from functools import cache, lru_cache

import torch
import triton
import triton.language as tl


@triton.jit
def _max(x, y):
    """The larger one; NaN if either is NaN."""
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def _decay(x):
    """exp(x) where x is at most 0. NVIDIA has one instruction for exp2; tl.exp takes six, to be exact below 1e-38."""
    return tl.exp2(x * 1.4426950408889634)


@triton.jit
def _spread(x, BLOCK: tl.constexpr):
    """[ROWS, PARTS] as [ROWS, BLOCK]: what is the same for some lanes, for each of them."""
    each: tl.constexpr = BLOCK // x.shape[1]
    return tl.reshape(tl.broadcast_to(x[:, :, None], [x.shape[0], x.shape[1], each]), [x.shape[0], BLOCK])


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
    ROWS: tl.constexpr, BLOCK: tl.constexpr, FULL: tl.constexpr = False, EVEN: tl.constexpr = False,
    SHIFT: tl.constexpr = False, ALIGNED: tl.constexpr = False, COUNTS: tl.constexpr = False,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    if EVEN:  # the compiler sees: a row is vectors of 8
        classes = classes // 8 * 8
    if ALIGNED:  # the compiler sees: a vector of adjacent rows is all within the plane, and is loaded as one
        rows = rows // 16 * 16
    parts = tl.cdiv(rows, ROWS)
    plane = (tl.program_id(0) // parts).to(tl.int64)
    row = (tl.program_id(0) % parts).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    row_mask = tl.full([1, 1], True, tl.int1) if ROWS == 1 else row < rows
    col = tl.arange(0, BLOCK)[None, :]
    col_mask = tl.full([1, BLOCK], True, tl.int1) if FULL else col < classes
    mask = row_mask & col_mask
    if COUNTS:
        counting = tl.zeros([1024], tl.float32)
        for begin in range(0, rows, 1024):
            each = begin + tl.arange(0, 1024).to(tl.int64)
            counted = each < rows
            place = in_t_ptr + plane * in_t_plane_stride + each * in_t_row_stride
            counted = counted & (tl.load(place, mask=counted, other=0).to(tl.int64) != ignore_index)
            counting += tl.where(counted, 1.0, 0.0)
        scale = tl.div_rn(1.0, tl.sum(counting, 0))
        tl.store(scale_ptr + plane * scale_plane_stride, scale, mask=tl.program_id(0) % parts == 0)
    else:
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

    origin = (plane * rows + row) * classes
    if SHIFT:  # the compiler sees: vectors begin here
        origin = origin // 8 * 8
    at_z = in_z_ptr + plane * in_z_plane_stride + row * in_z_row_stride
    at_t = in_t_ptr + plane * in_t_plane_stride + row * in_t_row_stride
    line_z = in_z_ptr + origin if EVEN or SHIFT else at_z

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
    v3 = tl.load(line_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
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
    v6 = _decay(v5)
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
    scaled_v8 = v8 * scale
    line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
    destination = line + col.to(tl.int64) * out_class_stride
    if grad_z_ptr is not None:
        scaled_v61 = v60 * scaled_v8
        gradient = scaled_v61.to(grad_z_ptr.dtype.element_ty)
        tl.store(grad_z_ptr + destination, gradient, mask=mask & usable)
        gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
        tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0))

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
    ROWS: tl.constexpr, BLOCK: tl.constexpr, FULL: tl.constexpr = False, EVEN: tl.constexpr = False,
    SHIFT: tl.constexpr = False, ALIGNED: tl.constexpr = False, COUNTS: tl.constexpr = False,
):  # fmt: skip
    """Loss and gradients, times scale; a gradient whose pointer is None costs nothing."""
    if EVEN:  # the compiler sees: a row is vectors of 8
        classes = classes // 8 * 8
    if ALIGNED:  # the compiler sees: a vector of adjacent rows is all within the plane, and is loaded as one
        rows = rows // 16 * 16
    parts = tl.cdiv(rows, ROWS)
    plane = (tl.program_id(0) // parts).to(tl.int64)
    row = (tl.program_id(0) % parts).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    row_mask = tl.full([1, 1], True, tl.int1) if ROWS == 1 else row < rows
    if COUNTS:
        counting = tl.zeros([1024], tl.float32)
        for begin in range(0, rows, 1024):
            each = begin + tl.arange(0, 1024).to(tl.int64)
            counted = each < rows
            place = in_t_ptr + plane * in_t_plane_stride + each * in_t_row_stride
            counted = counted & (tl.load(place, mask=counted, other=0).to(tl.int64) != ignore_index)
            counting += tl.where(counted, 1.0, 0.0)
        scale = tl.div_rn(1.0, tl.sum(counting, 0))
        tl.store(scale_ptr + plane * scale_plane_stride, scale, mask=tl.program_id(0) % parts == 0)
    else:
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
    v0 = 1.0 - p_th0
    v1 = v0 * v0
    v23 = p_th0 * p_th0
    v31 = n_classes * p_th1
    v32 = 1.0 - v31
    v33 = p_th2 * v32
    v34 = p_th1 * p_th1
    v35 = n_classes * v34
    v55 = p_th1 * v34
    v56 = n_classes * v55
    v86 = -1.0 / n_classes
    v87 = p_th7 * v86
    v92 = p_th4 * v86
    v94 = p_th5 * v86
    v98 = p_th6 * v86
    v100 = p_th3 * v86
    v107 = v34 * v92
    v108 = p_th0 * v94
    v109 = v107 - v108
    v110 = p_th0 * v98
    v111 = v100 - v110
    v112 = p_th1 * v92
    v113 = v111 - v112
    v114 = p_th1 * v113
    v115 = -2.0 * v114
    v116 = v109 + v115
    v117 = v87 * v23
    v118 = v116 + v117
    v137 = v94 * v0
    v140 = v98 * v0
    v141 = v140 + v100
    v147 = v1 * v87
    v156 = v94 * v32
    v162 = p_th2 * v86
    v163 = n_classes * v162
    v164 = n_classes * p_th0
    v165 = 1.0 - v164
    v166 = v165 * v94
    v182 = v32 * v86

    origin = (plane * rows + row) * classes
    if SHIFT:  # the compiler sees: vectors begin here
        origin = origin // 8 * 8
    at_z = in_z_ptr + plane * in_z_plane_stride + row * in_z_row_stride
    at_t = in_t_ptr + plane * in_t_plane_stride + row * in_t_row_stride
    line_z = in_z_ptr + origin if EVEN or SHIFT else at_z

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
    # Lane 0 is where vectors begin, `shift` lanes before the row if it begins between them.
    shift = (tl.program_id(0).to(tl.int64) * classes % 8).to(tl.int32) if SHIFT else 0
    first = BLOCK if SHIFT else 0
    last = tl.maximum((shift + classes) // BLOCK * BLOCK, first)
    final = last - first - BLOCK
    PART: tl.constexpr = min(8, BLOCK)

    # Phase 1 of 2: max over classes, sum over classes.
    v3 = tl.where(usable, index_t, -1).to(tl.int32)
    v4 = tl.load(at_z + v3.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    largest_v5 = tl.full([ROWS, BLOCK // PART], float("-inf"), tl.float32)
    lanes_v10 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v17 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v20 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v41 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v49 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v73 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v134 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    lanes_v177 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    if SHIFT:
        lane = 0 + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = (col >= 0) & (col < classes)
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v2 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_last")
        v2 = now_v2.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v2, float("-inf")), [ROWS, BLOCK])
        before_v5 = largest_v5
        largest_v5 = _max(before_v5, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v5 = largest_v5 == before_v5
        grown_v5 = tl.where(stays_v5, 0.0, largest_v5 - before_v5)
        shrink_v5 = _decay(-grown_v5)
        v5 = _spread(tl.where(largest_v5 == float("-inf"), 0.0, largest_v5), BLOCK)
        v15 = col == v3
        v19 = tl.where(v15, 0.0, 1.0)
        v83 = tl.where(v15, 1.0, 0.0)
        v84 = v83 - p_th0
        v85 = v84 * v84
        v8 = v2 - v5
        v9 = _decay(v8)
        v16 = tl.where(v15, 0.0, v9)
        v40 = v9 * v9
        v48 = v9 * v40
        v72 = tl.where(v15, 0.0, v40)
        v133 = tl.where(v15, 0.0, v48)
        lanes_v10 = lanes_v10 * _spread(shrink_v5, BLOCK) + tl.where(col_mask, v9, 0.0)
        lanes_v17 = lanes_v17 * _spread(shrink_v5, BLOCK) + tl.where(col_mask, v16, 0.0)
        lanes_v20 = lanes_v20 + tl.where(col_mask, v19, 0.0)
        lanes_v41 = lanes_v41 * _spread((shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v40, 0.0)
        lanes_v49 = lanes_v49 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v48, 0.0)
        lanes_v73 = lanes_v73 * _spread((shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v72, 0.0)
        lanes_v134 = lanes_v134 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v133, 0.0)
        lanes_v177 = lanes_v177 + tl.where(col_mask, v85, 0.0)
    lane = first + tl.arange(0, BLOCK)[None, :]
    at = line_z + lane.to(tl.int64) * in_z_class_stride
    next_v2 = tl.load(at, mask=(first < last) & row_mask, other=0, eviction_policy="evict_last")
    for done in range(0, last - first, BLOCK):
        lane = first + done + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = tl.full([1, BLOCK], True, tl.int1)
        mask = row_mask & col_mask
        now_v2 = next_v2
        at = line_z + (lane + BLOCK).to(tl.int64) * in_z_class_stride
        next_v2 = tl.load(at, mask=(done < final) & row_mask, other=0, eviction_policy="evict_last")
        v2 = now_v2.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v2, float("-inf")), [ROWS, BLOCK])
        before_v5 = largest_v5
        largest_v5 = _max(before_v5, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v5 = largest_v5 == before_v5
        grown_v5 = tl.where(stays_v5, 0.0, largest_v5 - before_v5)
        shrink_v5 = _decay(-grown_v5)
        v5 = _spread(tl.where(largest_v5 == float("-inf"), 0.0, largest_v5), BLOCK)
        v15 = col == v3
        v19 = tl.where(v15, 0.0, 1.0)
        v83 = tl.where(v15, 1.0, 0.0)
        v84 = v83 - p_th0
        v85 = v84 * v84
        v8 = v2 - v5
        v9 = _decay(v8)
        v16 = tl.where(v15, 0.0, v9)
        v40 = v9 * v9
        v48 = v9 * v40
        v72 = tl.where(v15, 0.0, v40)
        v133 = tl.where(v15, 0.0, v48)
        lanes_v10 = lanes_v10 * _spread(shrink_v5, BLOCK) + tl.where(col_mask, v9, 0.0)
        lanes_v17 = lanes_v17 * _spread(shrink_v5, BLOCK) + tl.where(col_mask, v16, 0.0)
        lanes_v20 = lanes_v20 + tl.where(col_mask, v19, 0.0)
        lanes_v41 = lanes_v41 * _spread((shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v40, 0.0)
        lanes_v49 = lanes_v49 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v48, 0.0)
        lanes_v73 = lanes_v73 * _spread((shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v72, 0.0)
        lanes_v134 = lanes_v134 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v133, 0.0)
        lanes_v177 = lanes_v177 + tl.where(col_mask, v85, 0.0)
    if not FULL:
        lane = last + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = col < classes
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v2 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_last")
        v2 = now_v2.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v2, float("-inf")), [ROWS, BLOCK])
        before_v5 = largest_v5
        largest_v5 = _max(before_v5, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v5 = largest_v5 == before_v5
        grown_v5 = tl.where(stays_v5, 0.0, largest_v5 - before_v5)
        shrink_v5 = _decay(-grown_v5)
        v5 = _spread(tl.where(largest_v5 == float("-inf"), 0.0, largest_v5), BLOCK)
        v15 = col == v3
        v19 = tl.where(v15, 0.0, 1.0)
        v83 = tl.where(v15, 1.0, 0.0)
        v84 = v83 - p_th0
        v85 = v84 * v84
        v8 = v2 - v5
        v9 = _decay(v8)
        v16 = tl.where(v15, 0.0, v9)
        v40 = v9 * v9
        v48 = v9 * v40
        v72 = tl.where(v15, 0.0, v40)
        v133 = tl.where(v15, 0.0, v48)
        lanes_v10 = lanes_v10 * _spread(shrink_v5, BLOCK) + tl.where(col_mask, v9, 0.0)
        lanes_v17 = lanes_v17 * _spread(shrink_v5, BLOCK) + tl.where(col_mask, v16, 0.0)
        lanes_v20 = lanes_v20 + tl.where(col_mask, v19, 0.0)
        lanes_v41 = lanes_v41 * _spread((shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v40, 0.0)
        lanes_v49 = lanes_v49 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v48, 0.0)
        lanes_v73 = lanes_v73 * _spread((shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v72, 0.0)
        lanes_v134 = lanes_v134 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK) + tl.where(col_mask, v133, 0.0)
        lanes_v177 = lanes_v177 + tl.where(col_mask, v85, 0.0)
    v5 = tl.reduce(largest_v5, 1, _max, keep_dims=True)
    before_v5 = largest_v5
    largest_v5 = _max(before_v5, v5)
    stays_v5 = largest_v5 == before_v5
    grown_v5 = tl.where(stays_v5, 0.0, largest_v5 - before_v5)
    shrink_v5 = _decay(-grown_v5)
    lanes_v10 = lanes_v10 * _spread(shrink_v5, BLOCK)
    lanes_v17 = lanes_v17 * _spread(shrink_v5, BLOCK)
    lanes_v41 = lanes_v41 * _spread((shrink_v5 * shrink_v5), BLOCK)
    lanes_v49 = lanes_v49 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK)
    lanes_v73 = lanes_v73 * _spread((shrink_v5 * shrink_v5), BLOCK)
    lanes_v134 = lanes_v134 * _spread((shrink_v5 * shrink_v5 * shrink_v5), BLOCK)
    v10 = tl.where(v5 == float("-inf"), float("nan"), tl.sum(lanes_v10, 1, keep_dims=True))
    v17 = tl.where(v5 == float("-inf"), float("nan"), tl.sum(lanes_v17, 1, keep_dims=True))
    v20 = tl.sum(lanes_v20, 1, keep_dims=True)
    v41 = tl.where(v5 == float("-inf"), float("nan"), tl.sum(lanes_v41, 1, keep_dims=True))
    v49 = tl.where(v5 == float("-inf"), float("nan"), tl.sum(lanes_v49, 1, keep_dims=True))
    v73 = tl.where(v5 == float("-inf"), float("nan"), tl.sum(lanes_v73, 1, keep_dims=True))
    v134 = tl.where(v5 == float("-inf"), float("nan"), tl.sum(lanes_v134, 1, keep_dims=True))
    v177 = tl.sum(lanes_v177, 1, keep_dims=True)

    # Phase 2 of 2: grad_z.
    v6 = v4 - v5
    v7 = _decay(v6)
    v11 = 1.0 / v10
    v12 = v7 * v11
    v13 = v12 - p_th1
    v14 = v1 * v13
    v18 = v17 * v11
    v21 = p_th1 * v20
    v22 = v18 - v21
    v24 = v22 * v23
    v25 = v14 + v24
    v26 = p_th7 * v25
    v27 = v13 * v0
    v28 = p_th0 * v22
    v29 = v27 - v28
    v30 = p_th5 * v29
    v36 = p_th1 * v11
    v37 = v36 + v36
    v38 = v10 * v37
    v39 = v35 - v38
    v42 = v11 * v11
    v43 = v41 * v42
    v44 = v39 + v43
    v45 = p_th3 * v44
    v46 = v33 + v45
    v47 = v42 * v11
    v50 = v47 * v49
    v51 = v34 * v11
    v52 = p_th1 * v37
    v53 = v51 + v52
    v54 = v10 * v53
    v57 = v54 - v56
    v58 = v37 * v11
    v59 = p_th1 * v42
    v60 = v58 + v59
    v61 = v60 * v41
    v62 = v57 - v61
    v63 = v50 + v62
    v64 = p_th4 * v63
    v65 = v46 + v64
    v66 = v30 + v65
    v67 = v13 * v13
    v68 = v67 * v0
    v69 = v34 * v20
    v70 = v37 * v17
    v71 = v69 - v70
    v74 = v73 * v42
    v75 = v71 + v74
    v76 = p_th0 * v75
    v77 = v68 - v76
    v78 = p_th6 * v77
    v79 = v66 + v78
    v80 = v26 + v79
    v81 = v80 / n_classes
    v82 = -v81
    v119 = v118 * v17
    v120 = v113 * v11
    v121 = v92 * v11
    v122 = p_th1 * v121
    v123 = v120 - v122
    v124 = 2.0 * v123
    v125 = v92 * v37
    v126 = v124 - v125
    v127 = v73 * v126
    v128 = v119 + v127
    v129 = v92 * v42
    v130 = v121 * v11
    v131 = 2.0 * v130
    v132 = v129 + v131
    v135 = v132 * v134
    v136 = v128 + v135
    v138 = v92 * v67
    v139 = v137 + v138
    v142 = v92 * v13
    v143 = v141 + v142
    v144 = v13 * v143
    v145 = 2.0 * v144
    v146 = v139 + v145
    v148 = v146 + v147
    v149 = v148 * v7
    v150 = v136 + v149
    v151 = v150 * v11
    v155 = v98 * v44
    v157 = v155 + v156
    v158 = v29 * v87
    v159 = 2.0 * v158
    v160 = v157 + v159
    v161 = -v160
    v167 = v92 * v44
    v168 = v166 + v167
    v169 = v73 * v130
    v170 = v17 * v123
    v171 = v114 * v20
    v172 = v170 - v171
    v173 = v169 + v172
    v174 = v144 + v173
    v175 = 2.0 * v174
    v176 = v168 + v175
    v178 = v87 * v177
    v179 = v176 + v178
    v180 = v163 + v179
    v181 = -v180
    v183 = v86 * v44
    v184 = v86 * v63
    v185 = v29 * v86
    v186 = v77 * v86
    v187 = v25 * v86
    scaled_v11 = v11 * scale
    if not FULL:
        lane = last + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = col < classes
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v2 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_first")
        v2 = now_v2.to(tl.float32)
        v15 = col == v3
        v83 = tl.where(v15, 1.0, 0.0)
        v84 = v83 - p_th0
        v85 = v84 * v84
        v88 = v85 * v87
        v95 = v94 * v84
        v99 = v98 * v84
        v101 = v99 + v100
        v8 = v2 - v5
        v9 = _decay(v8)
        v89 = v9 * v11
        v90 = v89 - p_th1
        v91 = v90 * v90
        v93 = v91 * v92
        v96 = v93 + v95
        v97 = v92 * v90
        v102 = v97 + v101
        v103 = v102 * v90
        v104 = 2.0 * v103
        v105 = v96 + v104
        v106 = v88 + v105
        v152 = v106 - v151
        v153 = v152 * v9
        v154 = v153 * v11
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v154 = v153 * scaled_v11
            gradient = scaled_v154.to(grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & usable, eviction_policy="evict_first")
            gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0), eviction_policy="evict_first")
    lane = last - BLOCK + tl.arange(0, BLOCK)[None, :]
    at = line_z + lane.to(tl.int64) * in_z_class_stride
    next_v2 = tl.load(at, mask=(first < last) & row_mask, other=0, eviction_policy="evict_first")
    for done in range(0, last - first, BLOCK):
        lane = last - BLOCK - done + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = tl.full([1, BLOCK], True, tl.int1)
        mask = row_mask & col_mask
        now_v2 = next_v2
        at = line_z + (lane - BLOCK).to(tl.int64) * in_z_class_stride
        next_v2 = tl.load(at, mask=(done < final) & row_mask, other=0, eviction_policy="evict_first")
        v2 = now_v2.to(tl.float32)
        v15 = col == v3
        v83 = tl.where(v15, 1.0, 0.0)
        v84 = v83 - p_th0
        v85 = v84 * v84
        v88 = v85 * v87
        v95 = v94 * v84
        v99 = v98 * v84
        v101 = v99 + v100
        v8 = v2 - v5
        v9 = _decay(v8)
        v89 = v9 * v11
        v90 = v89 - p_th1
        v91 = v90 * v90
        v93 = v91 * v92
        v96 = v93 + v95
        v97 = v92 * v90
        v102 = v97 + v101
        v103 = v102 * v90
        v104 = 2.0 * v103
        v105 = v96 + v104
        v106 = v88 + v105
        v152 = v106 - v151
        v153 = v152 * v9
        v154 = v153 * v11
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v154 = v153 * scaled_v11
            gradient = scaled_v154.to(grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & usable, eviction_policy="evict_first")
            gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0), eviction_policy="evict_first")
    if SHIFT:
        lane = 0 + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = (col >= 0) & (col < classes)
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v2 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_first")
        v2 = now_v2.to(tl.float32)
        v15 = col == v3
        v83 = tl.where(v15, 1.0, 0.0)
        v84 = v83 - p_th0
        v85 = v84 * v84
        v88 = v85 * v87
        v95 = v94 * v84
        v99 = v98 * v84
        v101 = v99 + v100
        v8 = v2 - v5
        v9 = _decay(v8)
        v89 = v9 * v11
        v90 = v89 - p_th1
        v91 = v90 * v90
        v93 = v91 * v92
        v96 = v93 + v95
        v97 = v92 * v90
        v102 = v97 + v101
        v103 = v102 * v90
        v104 = 2.0 * v103
        v105 = v96 + v104
        v106 = v88 + v105
        v152 = v106 - v151
        v153 = v152 * v9
        v154 = v153 * v11
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v154 = v153 * scaled_v11
            gradient = scaled_v154.to(grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & usable, eviction_policy="evict_first")
            gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0), eviction_policy="evict_first")

    sample = plane * rows + row
    value = v82
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)
    if grad_th0_ptr is not None:
        scaled = tl.where(usable, v161 * scale, filler)
        tl.store(grad_th0_ptr + sample, scaled.to(grad_th0_ptr.dtype.element_ty), mask=row_mask)
    if grad_th1_ptr is not None:
        scaled = tl.where(usable, v181 * scale, filler)
        tl.store(grad_th1_ptr + sample, scaled.to(grad_th1_ptr.dtype.element_ty), mask=row_mask)
    if grad_th2_ptr is not None:
        scaled = tl.where(usable, v182 * scale, filler)
        tl.store(grad_th2_ptr + sample, scaled.to(grad_th2_ptr.dtype.element_ty), mask=row_mask)
    if grad_th3_ptr is not None:
        scaled = tl.where(usable, v183 * scale, filler)
        tl.store(grad_th3_ptr + sample, scaled.to(grad_th3_ptr.dtype.element_ty), mask=row_mask)
    if grad_th4_ptr is not None:
        scaled = tl.where(usable, v184 * scale, filler)
        tl.store(grad_th4_ptr + sample, scaled.to(grad_th4_ptr.dtype.element_ty), mask=row_mask)
    if grad_th5_ptr is not None:
        scaled = tl.where(usable, v185 * scale, filler)
        tl.store(grad_th5_ptr + sample, scaled.to(grad_th5_ptr.dtype.element_ty), mask=row_mask)
    if grad_th6_ptr is not None:
        scaled = tl.where(usable, v186 * scale, filler)
        tl.store(grad_th6_ptr + sample, scaled.to(grad_th6_ptr.dtype.element_ty), mask=row_mask)
    if grad_th7_ptr is not None:
        scaled = tl.where(usable, v187 * scale, filler)
        tl.store(grad_th7_ptr + sample, scaled.to(grad_th7_ptr.dtype.element_ty), mask=row_mask)


TILES = {
    # By architecture: classes at most, values of a program, its kernel, and how it is launched.
    "any": (
        (256, 1024, taylor3_kernel, {"num_warps": 4, "maxnreg": 128}),
        (512, 512, taylor3_kernel, {"num_warps": 2, "maxnreg": 128}),
        (1024, 1024, taylor3_kernel, {"num_warps": 1, "maxnreg": 128}),
        (2048, 2048, taylor3_kernel, {"num_warps": 2, "maxnreg": 128}),
        (4096, 4096, taylor3_kernel, {"num_warps": 4, "maxnreg": 128}),
        (8192, 8192, taylor3_kernel, {"num_warps": 8, "maxnreg": 128}),
        (1099511627776, 1024, taylor3_stream_kernel, {"num_warps": 4}),
    ),
}


@cache
def _arch(device):
    if device.type != "cuda" or torch.version.hip:
        return "hip" if torch.version.hip else "any"
    return "cuda:{}{}".format(*torch.cuda.get_device_capability(device))


@lru_cache(1024)
def _tile(arch, classes, rows=1, across=False, dense=False):
    """The kernel for rows of that many classes, what a program of it holds, and how it is launched.

    That is one whole row, or as many short ones as there is room for; of a long one a block. `across`:
    `rows` rows lie side by side in memory, not their classes; `dense`: rows lie one after the other.
    """
    block = triton.next_power_of_2(max(classes, 1))
    least = min(32, triton.next_power_of_2(max(rows, 1))) if across else 1
    for longest, most, kernel, how in TILES.get(arch, TILES["any"]):
        fits = longest > most or block * least <= most  # one that streams takes a part of a row
        if fits and block <= longest and not (across and "num_ctas" in how):
            break
    block = min(block, most // least)
    height = most // block
    if across:
        height = min(height, triton.next_power_of_2(max(rows, 1)))
    # AMD's warps have 64 lanes, and the registers of NVIDIA's mean nothing to it.
    how = {"num_warps": max(how["num_warps"] // 2, 1)} if arch == "hip" else how
    shift = dense and classes % 8 > 0 and longest > most and height == 1
    if shift and block > 8 * 32 * how["num_warps"]:  # the blocks at both ends of a row need more registers
        block //= 2
    full = classes > 0 and classes % block == 0
    lies = {"FULL": full, "EVEN": dense and classes % 8 == 0, "SHIFT": shift}
    return kernel, {"ROWS": height, "BLOCK": block, **lies, **how}
INPLACE = ('z',)


def _room(batch, classes, across, dtype, device):
    """Room for a gradient, [*batch, classes], in memory with the rows side by side if `across`."""
    if across:
        planes, rows = batch
        return torch.empty((planes, classes, rows), dtype=dtype, device=device).transpose(1, 2)
    return torch.empty((*batch, classes), dtype=dtype, device=device)


def _start(kernel, programs, values, sizes):
    """Starts a kernel on the device of the first value."""
    with torch.cuda.device_of(values[0]):
        kernel[(programs,)](*values, **sizes)


def launch(
    inputs, params, wrt, scale, ignore_index=-100, weight=None, inplace=(), start=_start, counts=False
):  # fmt: skip
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

    start: what starts the kernel: a function of it, the number of programs, its arguments, and its sizes by name.
    counts: scale is not given but found, and stored where it is: 1 over the rows of a plane that count.
    """
    in_z, in_t = inputs
    flat = in_z.dim() == 2 and in_t.dim() == 1 and params.dim() == 1
    planes = 1 if flat else [t.shape[0] for t, axes in ((in_z, 3), (in_t, 2), (params, 2),) if t.dim() == axes][0]
    rows = in_z.shape[-2]
    device = in_z.device
    classes = in_z.shape[-1]
    across = not flat and in_z.stride(-1) > in_z.stride(-2)
    dense = not across and all(t.is_contiguous() and (flat or t.dim() > 2) for t in (in_z,))
    out_row_stride, out_class_stride = (1, rows) if across else (classes, 1)
    batch = (rows,) if flat else (planes, rows)
    loss = torch.empty(batch, dtype=torch.float32, device=device)
    if "z" in inplace:
        grad_z = in_z
    else:
        grad_z = _room(batch, classes, across, dtype=in_z.dtype, device=device) if "z" in wrt else None
    grad_th0 = torch.empty(batch, dtype=torch.float32, device=device) if "th0" in wrt else None
    grad_th1 = torch.empty(batch, dtype=torch.float32, device=device) if "th1" in wrt else None
    grad_th2 = torch.empty(batch, dtype=torch.float32, device=device) if "th2" in wrt else None
    grad_th3 = torch.empty(batch, dtype=torch.float32, device=device) if "th3" in wrt else None
    grad_th4 = torch.empty(batch, dtype=torch.float32, device=device) if "th4" in wrt else None
    grad_th5 = torch.empty(batch, dtype=torch.float32, device=device) if "th5" in wrt else None
    grad_th6 = torch.empty(batch, dtype=torch.float32, device=device) if "th6" in wrt else None
    grad_th7 = torch.empty(batch, dtype=torch.float32, device=device) if "th7" in wrt else None
    kernel, tile = _tile(_arch(device), classes, rows if across else 1, across, dense)
    if counts and "num_ctas" in tile:  # a cluster of blocks cannot count; this table has none
        kernel, tile = _tile("any", classes, rows if across else 1, across, dense)
    if rows > 0 and planes > 0:
        programs = planes * -(-rows // tile["ROWS"])
        values = (
            in_z, 0 if flat or in_z.dim() == 2 else in_z.stride(0), in_z.stride(-2), in_z.stride(-1),
            in_t, 0 if flat or in_t.dim() == 1 else in_t.stride(0), in_t.stride(-1),
            params, 0 if flat or params.dim() == 1 else params.stride(0),
            scale, 1 if scale.numel() > 1 else 0,
            weight, loss,
            grad_z, grad_th0, grad_th1, grad_th2, grad_th3, grad_th4, grad_th5, grad_th6, grad_th7,
            out_row_stride, out_class_stride,
            ignore_index, rows, classes,
        )
        start(kernel, programs, values, {**tile, "ALIGNED": across and rows % 16 == 0, "COUNTS": counts})
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
    return loss, {name: grads[name] for name in wrt}
