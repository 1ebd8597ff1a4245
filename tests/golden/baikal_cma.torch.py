import torch


def launch_torch(inputs, params, wrt, scale, ignore_index, weight=None, inplace=()):
    """Loss per row and gradients of the batch.

    inputs: tensors in the order of the loss: [rows, classes] per class, [rows] per sample, [classes] shared; instead
        of rows there may be several axes.
    params: [K] tensor of all parameters; scale: one number that multiplies every gradient.
    weight: [rows], what multiplies the loss and the gradients of each row; 0 leaves it out.
    inplace: nothing, for PyTorch's operations leave their inputs alone.
    Returns the loss [rows] and a dict of gradients shaped like the inputs, [rows] for parameters, not yet rounded.
    """
    in0, in1, = inputs
    dtype = torch.promote_types(torch.float32, in0.dtype)
    device = in0.device
    rows = in0.shape[:-1]  # a shape

    def literal(value):
        return torch.full((), value, dtype=dtype, device=device)

    C = in0.shape[-1]
    classes = literal(C)
    position = torch.arange(C, device=device)
    p_c0 = params[0].to(dtype)
    p_c1 = params[1].to(dtype)
    p_c2 = params[2].to(dtype)
    p_c3 = params[3].to(dtype)
    valid = (in1 != ignore_index)
    usable = valid & (in1 >= 0) & (in1 < C)
    in1 = torch.where(usable, in1, 0).to(torch.int64)
    usable, filler = usable[..., None], torch.where(valid, torch.nan, 0.0).to(dtype)[..., None]
    if weight is None:
        weight = 1.0
    else:
        weight = weight.to(dtype)[..., None]
        usable, filler = usable & (weight != 0), torch.where(weight == 0, 0.0, filler)
    v22 = (literal(-1.0) / classes)
    v23 = (p_c0 * v22)
    v24 = (p_c1 * v23)
    v37 = (p_c3 * v23)
    v45 = (v24 / p_c2)
    v46 = (classes * v45)
    v12 = in1[..., None]
    v13 = in0.to(dtype).gather(-1, v12)
    v0 = in0.to(dtype)
    v35 = (position == v12)
    v36 = torch.where(v35, literal(1.0), literal(0.0))
    v1 = v0.amax(-1, keepdim=True)
    v14 = (v13 - v1)
    v2 = (v0 - v1)
    v3 = torch.exp(v2)
    v4 = v3.sum(-1, keepdim=True)
    v5 = (literal(1.0) / v4)
    v11 = torch.log(v4)
    v15 = (v11 - v14)
    v16 = torch.exp(v15)
    v17 = (p_c3 * v16)
    v38 = (v16 * v37)
    v47 = (v16 * v23)
    v48 = (-v47)
    v6 = (v3 * v5)
    v7 = (p_c2 * v6)
    v8 = torch.log(v7)
    v25 = (v11 - v2)
    v26 = torch.exp(v25)
    v27 = (v24 * v26)
    v28 = (v3 * v26)
    v39 = (v36 * v38)
    v40 = (v6 * v38)
    v41 = (v39 - v40)
    v9 = v8.sum(-1, keepdim=True)
    v29 = v28.sum(-1, keepdim=True)
    v10 = (p_c1 * v9)
    v18 = (v10 - v17)
    v19 = (p_c0 * v18)
    v20 = (v19 / classes)
    v21 = (-v20)
    v30 = (v29 * v5)
    v31 = (v30 * v24)
    v43 = (v18 * v22)
    v44 = (v23 * v9)
    v32 = (v27 - v31)
    v33 = (v32 * v3)
    v34 = (v33 * v5)
    v42 = (v34 + v41)
    loss = torch.where(usable, v21 * weight, filler).expand(*rows, 1)[..., 0]
    gradients = {}
    scale = scale * weight
    if 'z' in wrt:
        gradients['z'] = torch.where(usable, v42 * scale, filler).expand(*rows, C).contiguous()
    if 'c0' in wrt:
        gradients['c0'] = torch.where(usable, v43 * scale, filler).expand(*rows, 1)[..., 0]
    if 'c1' in wrt:
        gradients['c1'] = torch.where(usable, v44 * scale, filler).expand(*rows, 1)[..., 0]
    if 'c2' in wrt:
        gradients['c2'] = torch.where(usable, v46 * scale, filler).expand(*rows, 1)[..., 0]
    if 'c3' in wrt:
        gradients['c3'] = torch.where(usable, v48 * scale, filler).expand(*rows, 1)[..., 0]
    return loss, gradients
