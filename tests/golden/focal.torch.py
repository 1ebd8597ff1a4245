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
    p_gamma = params[0].to(dtype)
    valid = (in1 != ignore_index)
    usable = valid & (in1 >= 0) & (in1 < C)
    in1 = torch.where(usable, in1, 0).to(torch.int64)
    usable, filler = usable[..., None], torch.where(valid, torch.nan, 0.0).to(dtype)[..., None]
    if weight is None:
        weight = 1.0
    else:
        weight = weight.to(dtype)[..., None]
        usable, filler = usable & (weight != 0), torch.where(weight == 0, 0.0, filler)
    v17 = (p_gamma == literal(0.0))
    v19 = (literal(-1.0) + p_gamma)
    v36 = (p_gamma >= literal(0.0))
    v1 = in1[..., None]
    v2 = in0.to(dtype).gather(-1, v1)
    v0 = in0.to(dtype)
    v25 = (position == v1)
    v26 = torch.where(v25, literal(1.0), literal(0.0))
    v3 = v0.amax(-1, keepdim=True)
    v4 = (v2 - v3)
    v10 = torch.exp(v4)
    v5 = (v0 - v3)
    v6 = torch.exp(v5)
    v7 = v6.sum(-1, keepdim=True)
    v8 = torch.log(v7)
    v9 = (v4 - v8)
    v11 = (literal(1.0) / v7)
    v12 = (v10 * v11)
    v13 = (literal(1.0) - v12)
    v14 = torch.pow(v13, p_gamma)
    v15 = (v9 * v14)
    v16 = (-v15)
    v18 = (p_gamma * v9)
    v20 = torch.pow(v13, v19)
    v21 = (v18 * v20)
    v22 = (-v21)
    v23 = torch.where(v17, literal(0.0), v22)
    v24 = (v23 * v12)
    v37 = (v13 == literal(0.0))
    v38 = (v36 & v37)
    v39 = (-v12)
    v40 = torch.log1p(v39)
    v41 = (v40 * v15)
    v42 = (-v41)
    v43 = torch.where(v38, literal(0.0), v42)
    v27 = (v23 * v26)
    v28 = (v24 - v27)
    v29 = (v28 * v6)
    v30 = (v29 * v11)
    v31 = (v6 * v11)
    v32 = (v31 * v14)
    v33 = (v26 * v14)
    v34 = (v32 - v33)
    v35 = (v30 + v34)
    loss = torch.where(usable, v16 * weight, filler).expand(*rows, 1)[..., 0]
    gradients = {}
    scale = scale * weight
    if 'z' in wrt:
        gradients['z'] = torch.where(usable, v35 * scale, filler).expand(*rows, C).contiguous()
    if 'gamma' in wrt:
        gradients['gamma'] = torch.where(usable, v43 * scale, filler).expand(*rows, 1)[..., 0]
    return loss, gradients
