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
    dtype = torch.promote_types(torch.float32, torch.promote_types(in0.dtype, in1.dtype))
    device = in0.device
    rows = in0.shape  # a shape

    def literal(value):
        return torch.full((), value, dtype=dtype, device=device)

    p_delta = params[0].to(dtype)
    usable, filler = torch.ones((), dtype=torch.bool, device=device), 0.0
    if weight is None:
        weight = 1.0
    else:
        weight = weight.to(dtype)[..., None]
        usable, filler = usable & (weight != 0), torch.where(weight == 0, 0.0, filler)
    v7 = (p_delta / literal(2.0))
    v0 = in0[..., None].to(dtype)
    v1 = in1[..., None].to(dtype)
    v2 = (v0 - v1)
    v3 = torch.abs(v2)
    v4 = (v3 <= p_delta)
    v5 = torch.square(v2)
    v6 = (v5 / literal(2.0))
    v8 = (v3 - v7)
    v9 = (p_delta * v8)
    v10 = torch.where(v4, v6, v9)
    v11 = torch.where(v2 == v2, torch.sign(v2), v2)
    v12 = (p_delta * v11)
    v13 = torch.where(v4, v2, v12)
    v14 = (-v13)
    v15 = (v8 - v7)
    v16 = torch.where(v4, literal(0.0), v15)
    loss = torch.where(usable, v10 * weight, filler).expand(*rows, 1)[..., 0]
    gradients = {}
    scale = scale * weight
    if 'p' in wrt:
        gradients['p'] = torch.where(usable, v13 * scale, filler).expand(*rows, 1)[..., 0]
    if 'y' in wrt:
        gradients['y'] = torch.where(usable, v14 * scale, filler).expand(*rows, 1)[..., 0]
    if 'delta' in wrt:
        gradients['delta'] = torch.where(usable, v16 * scale, filler).expand(*rows, 1)[..., 0]
    return loss, gradients
