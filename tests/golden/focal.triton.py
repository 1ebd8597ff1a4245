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


@triton.jit
def _log1p(x):
    """log(1 + x). By Kahan's trick: the rounding error of 1 + x cancels between log(u) and u - 1."""
    u = 1.0 + x
    by_ratio = tl.log(u) * (x / (u - 1.0))
    return tl.where(u == 1.0, x, tl.where(u == float("inf"), u, by_ratio))


@triton.jit
def _pow(x, y):
    """x to the power y: 1 for y = 0, exact for y = 1 and 2, NaN for a finite negative x unless y is an integer."""
    x = tl.cast(x, tl.float32)
    y = tl.cast(y, tl.float32)
    a = tl.abs(x)
    size = tl.exp2(y * tl.log2(a))
    size = tl.where(y == 2.0, a * a, tl.where(y == 1.0, a, size))
    size = tl.where(y == 0.0, 1.0, tl.where(a == 1.0, 1.0, size))
    whole = tl.floor(y) == y
    odd = whole & (2.0 * tl.floor(0.5 * y) != y)
    signed = tl.where(odd, -size, size)
    below = tl.where(whole, signed, tl.where(a == float("inf"), signed, float("nan")))
    return tl.where(x < 0.0, below, size)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def focal_kernel(
    in_z_ptr, in_z_plane_stride, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_plane_stride, in_t_row_stride,
    params_ptr, params_plane_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_z_ptr, grad_gamma_ptr,
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
    p_gamma = tl.load(params_ptr + plane * params_plane_stride + 0)
    v17 = p_gamma == 0.0
    v19 = -1.0 + p_gamma
    v36 = p_gamma >= 0.0

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

    # Phase 1 of 3: max over classes.
    v1 = tl.where(usable, index_t, -1).to(tl.int32)
    v2 = tl.load(at_z + v1.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    v0 = tl.load(line_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
    v25 = col == v1
    v26 = tl.where(v25, 1.0, 0.0)
    v3 = tl.reduce(tl.where(col_mask, v0, float("-inf")), 1, _max, keep_dims=True)

    # Phase 2 of 3: sum over classes.
    v4 = v2 - v3
    v10 = _decay(v4)
    v5 = v0 - v3
    v6 = _decay(v5)
    v7 = tl.sum(tl.where(col_mask, v6, 0.0), 1, keep_dims=True)

    # Phase 3 of 3: grad_z.
    v8 = tl.log(v7)
    v9 = v4 - v8
    v11 = 1.0 / v7
    v12 = v10 * v11
    v13 = 1.0 - v12
    v14 = _pow(v13, p_gamma)
    v15 = v9 * v14
    v16 = -v15
    v18 = p_gamma * v9
    v20 = _pow(v13, v19)
    v21 = v18 * v20
    v22 = -v21
    v23 = tl.where(v17, 0.0, v22)
    v24 = v23 * v12
    v37 = v13 == 0.0
    v38 = (v36 != 0) & v37
    v39 = -v12
    v40 = _log1p(v39)
    v41 = v40 * v15
    v42 = -v41
    v43 = tl.where(v38, 0.0, v42)
    v27 = v23 * v26
    v28 = v24 - v27
    v29 = v28 * v6
    v30 = v29 * v11
    v31 = v6 * v11
    v32 = v31 * v14
    v33 = v26 * v14
    v34 = v32 - v33
    v35 = v30 + v34
    scaled_v11 = v11 * scale
    scaled_v14 = v14 * scale
    line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
    destination = line + col.to(tl.int64) * out_class_stride
    if grad_z_ptr is not None:
        scaled_v30 = v29 * scaled_v11
        scaled_v32 = v31 * scaled_v14
        scaled_v33 = v26 * scaled_v14
        scaled_v34 = scaled_v32 - scaled_v33
        scaled_v35 = scaled_v30 + scaled_v34
        gradient = scaled_v35.to(grad_z_ptr.dtype.element_ty)
        tl.store(grad_z_ptr + destination, gradient, mask=mask & usable)
        gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
        tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0))

    sample = plane * rows + row
    value = v16
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)
    if grad_gamma_ptr is not None:
        scaled = tl.where(usable, v43 * scale, filler)
        tl.store(grad_gamma_ptr + sample, scaled.to(grad_gamma_ptr.dtype.element_ty), mask=row_mask)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def focal_stream_kernel(
    in_z_ptr, in_z_plane_stride, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_plane_stride, in_t_row_stride,
    params_ptr, params_plane_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_z_ptr, grad_gamma_ptr,
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
    p_gamma = tl.load(params_ptr + plane * params_plane_stride + 0)
    v17 = p_gamma == 0.0
    v19 = -1.0 + p_gamma
    v36 = p_gamma >= 0.0

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
    v1 = tl.where(usable, index_t, -1).to(tl.int32)
    v2 = tl.load(at_z + v1.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    largest_v3 = tl.full([ROWS, BLOCK // PART], float("-inf"), tl.float32)
    lanes_v7 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    if SHIFT:
        lane = 0 + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = (col >= 0) & (col < classes)
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v0 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_last")
        v0 = now_v0.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v0, float("-inf")), [ROWS, BLOCK])
        before_v3 = largest_v3
        largest_v3 = _max(before_v3, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v3 = largest_v3 == before_v3
        grown_v3 = tl.where(stays_v3, 0.0, largest_v3 - before_v3)
        shrink_v3 = _decay(-grown_v3)
        v3 = _spread(tl.where(largest_v3 == float("-inf"), 0.0, largest_v3), BLOCK)
        v5 = v0 - v3
        v6 = _decay(v5)
        lanes_v7 = lanes_v7 * _spread(shrink_v3, BLOCK) + tl.where(col_mask, v6, 0.0)
    lane = first + tl.arange(0, BLOCK)[None, :]
    at = line_z + lane.to(tl.int64) * in_z_class_stride
    next_v0 = tl.load(at, mask=(first < last) & row_mask, other=0, eviction_policy="evict_last")
    for done in range(0, last - first, BLOCK):
        lane = first + done + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = tl.full([1, BLOCK], True, tl.int1)
        mask = row_mask & col_mask
        now_v0 = next_v0
        at = line_z + (lane + BLOCK).to(tl.int64) * in_z_class_stride
        next_v0 = tl.load(at, mask=(done < final) & row_mask, other=0, eviction_policy="evict_last")
        v0 = now_v0.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v0, float("-inf")), [ROWS, BLOCK])
        before_v3 = largest_v3
        largest_v3 = _max(before_v3, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v3 = largest_v3 == before_v3
        grown_v3 = tl.where(stays_v3, 0.0, largest_v3 - before_v3)
        shrink_v3 = _decay(-grown_v3)
        v3 = _spread(tl.where(largest_v3 == float("-inf"), 0.0, largest_v3), BLOCK)
        v5 = v0 - v3
        v6 = _decay(v5)
        lanes_v7 = lanes_v7 * _spread(shrink_v3, BLOCK) + tl.where(col_mask, v6, 0.0)
    if not FULL:
        lane = last + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = col < classes
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v0 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_last")
        v0 = now_v0.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v0, float("-inf")), [ROWS, BLOCK])
        before_v3 = largest_v3
        largest_v3 = _max(before_v3, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v3 = largest_v3 == before_v3
        grown_v3 = tl.where(stays_v3, 0.0, largest_v3 - before_v3)
        shrink_v3 = _decay(-grown_v3)
        v3 = _spread(tl.where(largest_v3 == float("-inf"), 0.0, largest_v3), BLOCK)
        v5 = v0 - v3
        v6 = _decay(v5)
        lanes_v7 = lanes_v7 * _spread(shrink_v3, BLOCK) + tl.where(col_mask, v6, 0.0)
    v3 = tl.reduce(largest_v3, 1, _max, keep_dims=True)
    before_v3 = largest_v3
    largest_v3 = _max(before_v3, v3)
    stays_v3 = largest_v3 == before_v3
    grown_v3 = tl.where(stays_v3, 0.0, largest_v3 - before_v3)
    shrink_v3 = _decay(-grown_v3)
    lanes_v7 = lanes_v7 * _spread(shrink_v3, BLOCK)
    v7 = tl.where(v3 == float("-inf"), float("nan"), tl.sum(lanes_v7, 1, keep_dims=True))

    # Phase 2 of 2: grad_z.
    v4 = v2 - v3
    v8 = tl.log(v7)
    v9 = v4 - v8
    v10 = _decay(v4)
    v11 = 1.0 / v7
    v12 = v10 * v11
    v13 = 1.0 - v12
    v14 = _pow(v13, p_gamma)
    v15 = v9 * v14
    v16 = -v15
    v18 = p_gamma * v9
    v20 = _pow(v13, v19)
    v21 = v18 * v20
    v22 = -v21
    v23 = tl.where(v17, 0.0, v22)
    v24 = v23 * v12
    v37 = v13 == 0.0
    v38 = (v36 != 0) & v37
    v39 = -v12
    v40 = _log1p(v39)
    v41 = v40 * v15
    v42 = -v41
    v43 = tl.where(v38, 0.0, v42)
    scaled_v11 = v11 * scale
    scaled_v14 = v14 * scale
    if not FULL:
        lane = last + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = col < classes
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v0 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_first")
        v0 = now_v0.to(tl.float32)
        v25 = col == v1
        v26 = tl.where(v25, 1.0, 0.0)
        v5 = v0 - v3
        v6 = _decay(v5)
        v27 = v23 * v26
        v28 = v24 - v27
        v29 = v28 * v6
        v30 = v29 * v11
        v31 = v6 * v11
        v32 = v31 * v14
        v33 = v26 * v14
        v34 = v32 - v33
        v35 = v30 + v34
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v30 = v29 * scaled_v11
            scaled_v32 = v31 * scaled_v14
            scaled_v33 = v26 * scaled_v14
            scaled_v34 = scaled_v32 - scaled_v33
            scaled_v35 = scaled_v30 + scaled_v34
            gradient = scaled_v35.to(grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & usable, eviction_policy="evict_first")
            gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0), eviction_policy="evict_first")
    lane = last - BLOCK + tl.arange(0, BLOCK)[None, :]
    at = line_z + lane.to(tl.int64) * in_z_class_stride
    next_v0 = tl.load(at, mask=(first < last) & row_mask, other=0, eviction_policy="evict_first")
    for done in range(0, last - first, BLOCK):
        lane = last - BLOCK - done + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = tl.full([1, BLOCK], True, tl.int1)
        mask = row_mask & col_mask
        now_v0 = next_v0
        at = line_z + (lane - BLOCK).to(tl.int64) * in_z_class_stride
        next_v0 = tl.load(at, mask=(done < final) & row_mask, other=0, eviction_policy="evict_first")
        v0 = now_v0.to(tl.float32)
        v25 = col == v1
        v26 = tl.where(v25, 1.0, 0.0)
        v5 = v0 - v3
        v6 = _decay(v5)
        v27 = v23 * v26
        v28 = v24 - v27
        v29 = v28 * v6
        v30 = v29 * v11
        v31 = v6 * v11
        v32 = v31 * v14
        v33 = v26 * v14
        v34 = v32 - v33
        v35 = v30 + v34
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v30 = v29 * scaled_v11
            scaled_v32 = v31 * scaled_v14
            scaled_v33 = v26 * scaled_v14
            scaled_v34 = scaled_v32 - scaled_v33
            scaled_v35 = scaled_v30 + scaled_v34
            gradient = scaled_v35.to(grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & usable, eviction_policy="evict_first")
            gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0), eviction_policy="evict_first")
    if SHIFT:
        lane = 0 + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = (col >= 0) & (col < classes)
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v0 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_first")
        v0 = now_v0.to(tl.float32)
        v25 = col == v1
        v26 = tl.where(v25, 1.0, 0.0)
        v5 = v0 - v3
        v6 = _decay(v5)
        v27 = v23 * v26
        v28 = v24 - v27
        v29 = v28 * v6
        v30 = v29 * v11
        v31 = v6 * v11
        v32 = v31 * v14
        v33 = v26 * v14
        v34 = v32 - v33
        v35 = v30 + v34
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v30 = v29 * scaled_v11
            scaled_v32 = v31 * scaled_v14
            scaled_v33 = v26 * scaled_v14
            scaled_v34 = scaled_v32 - scaled_v33
            scaled_v35 = scaled_v30 + scaled_v34
            gradient = scaled_v35.to(grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & usable, eviction_policy="evict_first")
            gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0), eviction_policy="evict_first")

    sample = plane * rows + row
    value = v16
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)
    if grad_gamma_ptr is not None:
        scaled = tl.where(usable, v43 * scale, filler)
        tl.store(grad_gamma_ptr + sample, scaled.to(grad_gamma_ptr.dtype.element_ty), mask=row_mask)


TILES = {
    # By architecture: classes at most, values of a program, its kernel, and how it is launched.
    "any": (
        (256, 1024, focal_kernel, {"num_warps": 4}),
        (512, 512, focal_kernel, {"num_warps": 1}),
        (1024, 1024, focal_kernel, {"num_warps": 1}),
        (2048, 2048, focal_kernel, {"num_warps": 2}),
        (4096, 4096, focal_kernel, {"num_warps": 4}),
        (8192, 8192, focal_kernel, {"num_warps": 8}),
        (16384, 2048, focal_stream_kernel, {"num_warps": 8}),
        (32768, 4096, focal_stream_kernel, {"num_warps": 8}),
        (1099511627776, 8192, focal_stream_kernel, {"num_warps": 16}),
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
    params: float32 [1]: gamma.
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
    grad_gamma = torch.empty(batch, dtype=torch.float32, device=device) if "gamma" in wrt else None
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
            grad_z, grad_gamma,
            out_row_stride, out_class_stride,
            ignore_index, rows, classes,
        )
        start(kernel, programs, values, {**tile, "ALIGNED": across and rows % 16 == 0, "COUNTS": counts})
    grads = {
        "z": grad_z,
        "gamma": grad_gamma,
    }
    return loss, {name: grads[name] for name in wrt}
