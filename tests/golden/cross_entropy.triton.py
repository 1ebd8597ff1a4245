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
def cross_entropy_kernel(
    in_z_ptr, in_z_plane_stride, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_plane_stride, in_t_row_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_z_ptr,
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
    v6 = tl.where(usable, index_t, -1).to(tl.int32)
    v7 = tl.load(at_z + v6.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    v0 = tl.load(line_z + col.to(tl.int64) * in_z_class_stride, mask=mask, other=0).to(tl.float32)
    v12 = col == v6
    v13 = tl.where(v12, 1.0, 0.0)
    v1 = tl.reduce(tl.where(col_mask, v0, float("-inf")), 1, _max, keep_dims=True)

    # Phase 2 of 3: sum over classes.
    v8 = v7 - v1
    v2 = v0 - v1
    v3 = _decay(v2)
    v4 = tl.sum(tl.where(col_mask, v3, 0.0), 1, keep_dims=True)

    # Phase 3 of 3: grad_z.
    v5 = tl.log(v4)
    v9 = v5 - v8
    v10 = 1.0 / v4
    v11 = v3 * v10
    v14 = v11 - v13
    scaled_v10 = v10 * scale
    line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
    destination = line + col.to(tl.int64) * out_class_stride
    if grad_z_ptr is not None:
        scaled_v11 = v3 * scaled_v10
        scaled_v13 = tl.where(v12, scale, 0.0)
        scaled_v14 = scaled_v11 - scaled_v13
        gradient = scaled_v14.to(grad_z_ptr.dtype.element_ty)
        tl.store(grad_z_ptr + destination, gradient, mask=mask & usable)
        gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
        tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0))

    sample = plane * rows + row
    value = v9
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)


@triton.jit(do_not_specialize=["ignore_index", "rows"])
def cross_entropy_stream_kernel(
    in_z_ptr, in_z_plane_stride, in_z_row_stride, in_z_class_stride,
    in_t_ptr, in_t_plane_stride, in_t_row_stride,
    scale_ptr, scale_plane_stride,
    weight_ptr, loss_ptr,
    grad_z_ptr,
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
    v6 = tl.where(usable, index_t, -1).to(tl.int32)
    v7 = tl.load(at_z + v6.to(tl.int64) * in_z_class_stride, mask=usable, other=0).to(tl.float32)
    largest_v1 = tl.full([ROWS, BLOCK // PART], float("-inf"), tl.float32)
    lanes_v4 = tl.full([ROWS, BLOCK], 0.0, tl.float32)
    if SHIFT:
        lane = 0 + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = (col >= 0) & (col < classes)
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v0 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_last")
        v0 = now_v0.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v0, float("-inf")), [ROWS, BLOCK])
        before_v1 = largest_v1
        largest_v1 = _max(before_v1, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v1 = largest_v1 == before_v1
        grown_v1 = tl.where(stays_v1, 0.0, largest_v1 - before_v1)
        shrink_v1 = _decay(-grown_v1)
        v1 = _spread(tl.where(largest_v1 == float("-inf"), 0.0, largest_v1), BLOCK)
        v2 = v0 - v1
        v3 = _decay(v2)
        lanes_v4 = lanes_v4 * _spread(shrink_v1, BLOCK) + tl.where(col_mask, v3, 0.0)
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
        before_v1 = largest_v1
        largest_v1 = _max(before_v1, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v1 = largest_v1 == before_v1
        grown_v1 = tl.where(stays_v1, 0.0, largest_v1 - before_v1)
        shrink_v1 = _decay(-grown_v1)
        v1 = _spread(tl.where(largest_v1 == float("-inf"), 0.0, largest_v1), BLOCK)
        v2 = v0 - v1
        v3 = _decay(v2)
        lanes_v4 = lanes_v4 * _spread(shrink_v1, BLOCK) + tl.where(col_mask, v3, 0.0)
    if not FULL:
        lane = last + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = col < classes
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v0 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_last")
        v0 = now_v0.to(tl.float32)
        block = tl.broadcast_to(tl.where(col_mask, v0, float("-inf")), [ROWS, BLOCK])
        before_v1 = largest_v1
        largest_v1 = _max(before_v1, tl.reduce(tl.reshape(block, [ROWS, BLOCK // PART, PART]), 2, _max))
        stays_v1 = largest_v1 == before_v1
        grown_v1 = tl.where(stays_v1, 0.0, largest_v1 - before_v1)
        shrink_v1 = _decay(-grown_v1)
        v1 = _spread(tl.where(largest_v1 == float("-inf"), 0.0, largest_v1), BLOCK)
        v2 = v0 - v1
        v3 = _decay(v2)
        lanes_v4 = lanes_v4 * _spread(shrink_v1, BLOCK) + tl.where(col_mask, v3, 0.0)
    v1 = tl.reduce(largest_v1, 1, _max, keep_dims=True)
    before_v1 = largest_v1
    largest_v1 = _max(before_v1, v1)
    stays_v1 = largest_v1 == before_v1
    grown_v1 = tl.where(stays_v1, 0.0, largest_v1 - before_v1)
    shrink_v1 = _decay(-grown_v1)
    lanes_v4 = lanes_v4 * _spread(shrink_v1, BLOCK)
    v4 = tl.where(v1 == float("-inf"), float("nan"), tl.sum(lanes_v4, 1, keep_dims=True))

    # Phase 2 of 2: grad_z.
    v5 = tl.log(v4)
    v8 = v7 - v1
    v9 = v5 - v8
    v10 = 1.0 / v4
    scaled_v10 = v10 * scale
    if not FULL:
        lane = last + tl.arange(0, BLOCK)[None, :]
        col = lane - shift
        col_mask = col < classes
        mask = row_mask & col_mask
        at = line_z + lane.to(tl.int64) * in_z_class_stride
        now_v0 = tl.load(at, mask=col_mask & row_mask, other=0, eviction_policy="evict_first")
        v0 = now_v0.to(tl.float32)
        v12 = col == v6
        v13 = tl.where(v12, 1.0, 0.0)
        v2 = v0 - v1
        v3 = _decay(v2)
        v11 = v3 * v10
        v14 = v11 - v13
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v11 = v3 * scaled_v10
            scaled_v13 = tl.where(v12, scale, 0.0)
            scaled_v14 = scaled_v11 - scaled_v13
            gradient = scaled_v14.to(grad_z_ptr.dtype.element_ty)
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
        v12 = col == v6
        v13 = tl.where(v12, 1.0, 0.0)
        v2 = v0 - v1
        v3 = _decay(v2)
        v11 = v3 * v10
        v14 = v11 - v13
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v11 = v3 * scaled_v10
            scaled_v13 = tl.where(v12, scale, 0.0)
            scaled_v14 = scaled_v11 - scaled_v13
            gradient = scaled_v14.to(grad_z_ptr.dtype.element_ty)
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
        v12 = col == v6
        v13 = tl.where(v12, 1.0, 0.0)
        v2 = v0 - v1
        v3 = _decay(v2)
        v11 = v3 * v10
        v14 = v11 - v13
        line = origin if EVEN or SHIFT else plane * rows * classes + row * out_row_stride
        destination = line + lane.to(tl.int64) * out_class_stride
        if grad_z_ptr is not None:
            scaled_v11 = v3 * scaled_v10
            scaled_v13 = tl.where(v12, scale, 0.0)
            scaled_v14 = scaled_v11 - scaled_v13
            gradient = scaled_v14.to(grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & usable, eviction_policy="evict_first")
            gradient = tl.cast(filler, grad_z_ptr.dtype.element_ty)
            tl.store(grad_z_ptr + destination, gradient, mask=mask & (usable == 0), eviction_policy="evict_first")

    sample = plane * rows + row
    value = v9
    if weight_ptr is not None:
        value = value * weight
    tl.store(loss_ptr + sample, tl.where(usable, value, filler), mask=row_mask)


TILES = {
    # By architecture: classes at most, values of a program, its kernel, and how it is launched.
    "any": (
        (256, 1024, cross_entropy_kernel, {"num_warps": 4}),
        (512, 512, cross_entropy_kernel, {"num_warps": 1}),
        (1024, 1024, cross_entropy_kernel, {"num_warps": 1}),
        (2048, 2048, cross_entropy_kernel, {"num_warps": 2}),
        (4096, 4096, cross_entropy_kernel, {"num_warps": 4}),
        (8192, 8192, cross_entropy_kernel, {"num_warps": 8}),
        (16384, 2048, cross_entropy_stream_kernel, {"num_warps": 8}),
        (32768, 4096, cross_entropy_stream_kernel, {"num_warps": 8}),
        (1099511627776, 8192, cross_entropy_stream_kernel, {"num_warps": 16}),
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
    counts: scale is not given but found, and stored where it is: 1 over the rows of a plane that count.
    """
    in_z, in_t = inputs
    flat = in_z.dim() == 2 and in_t.dim() == 1
    planes = 1 if flat else [t.shape[0] for t, axes in ((in_z, 3), (in_t, 2),) if t.dim() == axes][0]
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
    kernel, tile = _tile(_arch(device), classes, rows if across else 1, across, dense)
    if counts and "num_ctas" in tile:  # a cluster of blocks cannot count; this table has none
        kernel, tile = _tile("any", classes, rows if across else 1, across, dense)
    if rows > 0 and planes > 0:
        programs = planes * -(-rows // tile["ROWS"])
        values = (
            in_z, 0 if flat or in_z.dim() == 2 else in_z.stride(0), in_z.stride(-2), in_z.stride(-1),
            in_t, 0 if flat or in_t.dim() == 1 else in_t.stride(0), in_t.stride(-1),
            scale, 1 if scale.numel() > 1 else 0,
            weight, loss,
            grad_z,
            out_row_stride, out_class_stride,
            ignore_index, rows, classes,
        )
        start(kernel, programs, values, {**tile, "ALIGNED": across and rows % 16 == 0, "COUNTS": counts})
    grads = {
        "z": grad_z,
    }
    return loss, {name: grads[name] for name in wrt}
