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
    valid = (in1 != ignore_index)
    usable = valid & (in1 >= 0) & (in1 < C)
    in1 = torch.where(usable, in1, 0).to(torch.int64)
    usable, filler = usable[..., None], torch.where(valid, torch.nan, 0.0).to(dtype)[..., None]
    if weight is None:
        weight = 1.0
    else:
        weight = weight.to(dtype)[..., None]
        usable, filler = usable & (weight != 0), torch.where(weight == 0, 0.0, filler)
    v6 = in1[..., None]
    v7 = in0.to(dtype).gather(-1, v6)
    v0 = in0.to(dtype)
    v12 = (position == v6)
    v13 = torch.where(v12, literal(1.0), literal(0.0))
    v1 = v0.amax(-1, keepdim=True)
    v8 = (v7 - v1)
    v2 = (v0 - v1)
    v3 = torch.exp(v2)
    v4 = v3.sum(-1, keepdim=True)
    v5 = torch.log(v4)
    v9 = (v5 - v8)
    v10 = (literal(1.0) / v4)
    v11 = (v3 * v10)
    v14 = (v11 - v13)
    loss = torch.where(usable, v9 * weight, filler).expand(*rows, 1)[..., 0]
    gradients = {}
    scale = scale * weight
    if 'z' in wrt:
        gradients['z'] = torch.where(usable, v14 * scale, filler).expand(*rows, C).contiguous()
    return loss, gradients
