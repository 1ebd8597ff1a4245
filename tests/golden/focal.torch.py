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
    p_gamma = params[0].to(dtype)
    valid = (in1 != ignore_index)
    in1 = torch.where(valid, in1, 0).to(torch.int64)
    valid = valid[:, None]
    if rows and not bool(((in1 >= 0) & (in1 < C)).all()):
        raise IndexError(f"a class index is outside [0, {C})")
    v23 = (p_gamma == literal(0.0))
    v25 = (literal(-1.0) + p_gamma)
    v36 = (p_gamma >= literal(0.0))
    v1 = in1[:, None]
    v2 = in0.to(dtype).gather(-1, v1)
    v0 = in0.to(dtype)
    v19 = (position == v1)
    v20 = torch.where(v19, literal(1.0), literal(0.0))
    v3 = v0.amax(-1, keepdim=True)
    v4 = (v2 - v3)
    v5 = torch.exp(v4)
    v6 = (v0 - v3)
    v7 = torch.exp(v6)
    v8 = v7.sum(-1, keepdim=True)
    v9 = (literal(1.0) / v8)
    v10 = (v5 * v9)
    v11 = (literal(1.0) - v10)
    v12 = torch.pow(v11, p_gamma)
    v13 = torch.log(v8)
    v14 = (v4 - v13)
    v15 = (v12 * v14)
    v16 = (-v15)
    v24 = (p_gamma * v14)
    v26 = torch.pow(v11, v25)
    v27 = (v24 * v26)
    v28 = (-v27)
    v29 = torch.where(v23, literal(0.0), v28)
    v30 = (v10 * v29)
    v37 = (v11 == literal(0.0))
    v38 = (v36 & v37)
    v39 = (-v10)
    v40 = torch.log1p(v39)
    v41 = (v15 * v40)
    v42 = (-v41)
    v43 = torch.where(v38, literal(0.0), v42)
    v17 = (v7 * v9)
    v18 = (v12 * v17)
    v21 = (v12 * v20)
    v22 = (v18 - v21)
    v31 = (v29 * v20)
    v32 = (v30 - v31)
    v33 = (v7 * v32)
    v34 = (v9 * v33)
    v35 = (v22 + v34)
    loss = torch.where(valid, v16, 0.0).expand(rows, 1)[:, 0]
    gradients = {}
    if 'z' in wrt:
        gradients['z'] = torch.where(valid, (v35 * scale), 0.0).expand(rows, C).contiguous()
    if 'gamma' in wrt:
        gradients['gamma'] = torch.where(valid, (v43 * scale), 0.0).expand(rows, 1)[:, 0]
    return loss, gradients
