import torch


def launch_torch(inputs, params, wrt, scale, ignore_index):
    """Loss per row and gradients of the batch.

    inputs: tensors in the order of the loss: [rows, classes] per class, [rows] per sample, [classes] shared.
    params: [K] tensor of all parameters; scale: one number that multiplies every gradient.
    Returns the loss [rows] and a dict of gradients shaped like the inputs, [rows] for parameters, not yet rounded.
    """
    in0, in1, = inputs
    dtype = torch.promote_types(torch.float32, in0.dtype)
    device = in0.device
    rows = in0.shape[0]

    def literal(value):
        return torch.full((), value, dtype=dtype, device=device)

    C = in0.shape[-1]
    classes = literal(C)
    position = torch.arange(C, device=device)[None, :]
    p_c0 = params[0].to(dtype)
    p_c1 = params[1].to(dtype)
    p_c2 = params[2].to(dtype)
    p_c3 = params[3].to(dtype)
    valid = (in1 != ignore_index)
    in1 = torch.where(valid, in1, 0).to(torch.int64)
    if rows and not bool(((in1 >= 0) & (in1 < C)).all()):
        raise IndexError(f"a class index is outside [0, {C})")
    valid = valid[:, None]
    v24 = (literal(-1.0) / classes)
    v25 = (p_c0 * v24)
    v26 = (p_c3 * v25)
    v31 = (p_c1 * v25)
    v45 = (v31 / p_c2)
    v46 = (classes * v45)
    v12 = in1[:, None]
    v13 = in0.to(dtype).gather(-1, v12)
    v0 = in0.to(dtype)
    v22 = (position == v12)
    v23 = torch.where(v22, literal(1.0), literal(0.0))
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
    v27 = (v16 * v26)
    v47 = (v16 * v25)
    v48 = (-v47)
    v6 = (v3 * v5)
    v7 = (p_c2 * v6)
    v8 = torch.log(v7)
    v28 = (v23 * v27)
    v29 = (v6 * v27)
    v30 = (v28 - v29)
    v32 = (v11 - v2)
    v33 = torch.exp(v32)
    v34 = (v31 * v33)
    v35 = (v3 * v33)
    v9 = v8.sum(-1, keepdim=True)
    v36 = v35.sum(-1, keepdim=True)
    v10 = (p_c1 * v9)
    v18 = (v10 - v17)
    v19 = (p_c0 * v18)
    v20 = (v19 / classes)
    v21 = (-v20)
    v37 = (v36 * v5)
    v38 = (v31 * v37)
    v43 = (v24 * v18)
    v44 = (v25 * v9)
    v39 = (v34 - v38)
    v40 = (v3 * v39)
    v41 = (v40 * v5)
    v42 = (v30 + v41)
    loss = torch.where(valid, v21, 0.0).expand(rows, 1)[:, 0]
    gradients = {}
    if 'z' in wrt:
        gradients['z'] = torch.where(valid, (v42 * scale), 0.0).expand(rows, C).contiguous()
    if 'c0' in wrt:
        gradients['c0'] = torch.where(valid, (v43 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'c1' in wrt:
        gradients['c1'] = torch.where(valid, (v44 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'c2' in wrt:
        gradients['c2'] = torch.where(valid, (v46 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'c3' in wrt:
        gradients['c3'] = torch.where(valid, (v48 * scale), 0.0).expand(rows, 1)[:, 0]
    return loss, gradients
