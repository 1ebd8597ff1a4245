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
    p_th0 = params[0].to(dtype)
    p_th1 = params[1].to(dtype)
    p_th2 = params[2].to(dtype)
    p_th3 = params[3].to(dtype)
    p_th4 = params[4].to(dtype)
    p_th5 = params[5].to(dtype)
    p_th6 = params[6].to(dtype)
    p_th7 = params[7].to(dtype)
    valid = (in1 != ignore_index)
    usable = valid & (in1 >= 0) & (in1 < C)
    in1 = torch.where(usable, in1, 0).to(torch.int64)
    usable, filler = usable[..., None], torch.where(valid, torch.nan, 0.0).to(dtype)[..., None]
    if weight is None:
        weight = 1.0
    else:
        weight = weight.to(dtype)[..., None]
        usable, filler = usable & (weight != 0), torch.where(weight == 0, 0.0, filler)
    v0 = (classes * p_th1)
    v1 = (literal(1.0) - v0)
    v2 = (p_th2 * v1)
    v38 = (literal(-1.0) / classes)
    v39 = (p_th7 * v38)
    v41 = (p_th4 * v38)
    v43 = (p_th5 * v38)
    v47 = (p_th6 * v38)
    v49 = (p_th3 * v38)
    v65 = (v43 * v1)
    v71 = (classes * p_th0)
    v72 = (literal(1.0) - v71)
    v73 = (v72 * v43)
    v80 = (p_th2 * v38)
    v81 = (classes * v80)
    v84 = (v1 * v38)
    v19 = in1[..., None]
    v3 = in0.to(dtype)
    v20 = (position == v19)
    v21 = torch.where(v20, literal(1.0), literal(0.0))
    v22 = (v21 - p_th0)
    v31 = torch.square(v22)
    v40 = (v31 * v39)
    v44 = (v43 * v22)
    v48 = (v47 * v22)
    v50 = (v48 + v49)
    v4 = v3.amax(-1, keepdim=True)
    v77 = v31.sum(-1, keepdim=True)
    v78 = (v39 * v77)
    v5 = (v3 - v4)
    v6 = torch.exp(v5)
    v7 = v6.sum(-1, keepdim=True)
    v8 = (literal(1.0) / v7)
    v9 = (v6 * v8)
    v10 = (v9 - p_th1)
    v11 = torch.square(v10)
    v15 = (v11 * v10)
    v23 = (v22 * v10)
    v27 = (v11 * v22)
    v32 = (v31 * v10)
    v42 = (v11 * v41)
    v45 = (v42 + v44)
    v46 = (v41 * v10)
    v51 = (v46 + v50)
    v52 = (v51 * v10)
    v53 = (literal(2.0) * v52)
    v54 = (v45 + v53)
    v55 = (v40 + v54)
    v56 = (v6 * v55)
    v12 = v11.sum(-1, keepdim=True)
    v16 = v15.sum(-1, keepdim=True)
    v24 = v23.sum(-1, keepdim=True)
    v28 = v27.sum(-1, keepdim=True)
    v33 = v32.sum(-1, keepdim=True)
    v57 = v56.sum(-1, keepdim=True)
    v69 = v52.sum(-1, keepdim=True)
    v13 = (p_th3 * v12)
    v14 = (v2 + v13)
    v17 = (p_th4 * v16)
    v18 = (v14 + v17)
    v25 = (p_th5 * v24)
    v26 = (v18 + v25)
    v29 = (p_th6 * v28)
    v30 = (v26 + v29)
    v34 = (p_th7 * v33)
    v35 = (v30 + v34)
    v36 = (v35 / classes)
    v37 = (-v36)
    v58 = (v57 * v8)
    v62 = (v39 * v24)
    v63 = (literal(2.0) * v62)
    v64 = (v47 * v12)
    v66 = (v64 + v65)
    v67 = (v63 + v66)
    v68 = (-v67)
    v70 = (literal(2.0) * v69)
    v74 = (v41 * v12)
    v75 = (v73 + v74)
    v76 = (v70 + v75)
    v79 = (v76 + v78)
    v82 = (v79 + v81)
    v83 = (-v82)
    v85 = (v38 * v12)
    v86 = (v38 * v16)
    v87 = (v38 * v24)
    v88 = (v28 * v38)
    v89 = (v38 * v33)
    v59 = (v55 - v58)
    v60 = (v59 * v6)
    v61 = (v60 * v8)
    loss = torch.where(usable, v37 * weight, filler).expand(*rows, 1)[..., 0]
    gradients = {}
    scale = scale * weight
    if 'z' in wrt:
        gradients['z'] = torch.where(usable, v61 * scale, filler).expand(*rows, C).contiguous()
    if 'th0' in wrt:
        gradients['th0'] = torch.where(usable, v68 * scale, filler).expand(*rows, 1)[..., 0]
    if 'th1' in wrt:
        gradients['th1'] = torch.where(usable, v83 * scale, filler).expand(*rows, 1)[..., 0]
    if 'th2' in wrt:
        gradients['th2'] = torch.where(usable, v84 * scale, filler).expand(*rows, 1)[..., 0]
    if 'th3' in wrt:
        gradients['th3'] = torch.where(usable, v85 * scale, filler).expand(*rows, 1)[..., 0]
    if 'th4' in wrt:
        gradients['th4'] = torch.where(usable, v86 * scale, filler).expand(*rows, 1)[..., 0]
    if 'th5' in wrt:
        gradients['th5'] = torch.where(usable, v87 * scale, filler).expand(*rows, 1)[..., 0]
    if 'th6' in wrt:
        gradients['th6'] = torch.where(usable, v88 * scale, filler).expand(*rows, 1)[..., 0]
    if 'th7' in wrt:
        gradients['th7'] = torch.where(usable, v89 * scale, filler).expand(*rows, 1)[..., 0]
    return loss, gradients
