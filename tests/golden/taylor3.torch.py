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
    p_th0 = params[0].to(dtype)
    p_th1 = params[1].to(dtype)
    p_th2 = params[2].to(dtype)
    p_th3 = params[3].to(dtype)
    p_th4 = params[4].to(dtype)
    p_th5 = params[5].to(dtype)
    p_th6 = params[6].to(dtype)
    p_th7 = params[7].to(dtype)
    valid = (in1 != ignore_index)
    in1 = torch.where(valid, in1, 0).to(torch.int64)
    if rows and not bool(((in1 >= 0) & (in1 < C)).all()):
        raise IndexError(f"a class index is outside [0, {C})")
    valid = valid[:, None]
    v20 = (classes * p_th1)
    v21 = (literal(1.0) - v20)
    v22 = (p_th2 * v21)
    v38 = (literal(-1.0) / classes)
    v39 = (p_th4 * v38)
    v41 = (p_th5 * v38)
    v43 = (p_th7 * v38)
    v47 = (p_th3 * v38)
    v48 = (p_th6 * v38)
    v66 = (v21 * v41)
    v73 = (classes * p_th0)
    v74 = (literal(1.0) - v73)
    v75 = (v41 * v74)
    v80 = (p_th2 * v38)
    v81 = (classes * v80)
    v84 = (v21 * v38)
    v8 = in1[:, None]
    v0 = in0.to(dtype)
    v9 = (position == v8)
    v10 = torch.where(v9, literal(1.0), literal(0.0))
    v11 = (v10 - p_th0)
    v12 = torch.square(v11)
    v42 = (v41 * v11)
    v44 = (v12 * v43)
    v45 = (v42 + v44)
    v49 = (v11 * v48)
    v50 = (v47 + v49)
    v1 = v0.amax(-1, keepdim=True)
    v71 = v12.sum(-1, keepdim=True)
    v72 = (v71 * v43)
    v76 = (v72 + v75)
    v2 = (v0 - v1)
    v3 = torch.exp(v2)
    v4 = v3.sum(-1, keepdim=True)
    v5 = (literal(1.0) / v4)
    v6 = (v3 * v5)
    v7 = (v6 - p_th1)
    v13 = (v7 * v12)
    v16 = torch.square(v7)
    v17 = (v11 * v16)
    v26 = (v7 * v16)
    v30 = (v7 * v11)
    v40 = (v39 * v16)
    v46 = (v40 + v45)
    v51 = (v7 * v39)
    v52 = (v50 + v51)
    v53 = (v7 * v52)
    v54 = (literal(2.0) * v53)
    v55 = (v46 + v54)
    v56 = (v3 * v55)
    v14 = v13.sum(-1, keepdim=True)
    v18 = v17.sum(-1, keepdim=True)
    v23 = v16.sum(-1, keepdim=True)
    v27 = v26.sum(-1, keepdim=True)
    v31 = v30.sum(-1, keepdim=True)
    v57 = v56.sum(-1, keepdim=True)
    v69 = v53.sum(-1, keepdim=True)
    v15 = (p_th7 * v14)
    v19 = (p_th6 * v18)
    v24 = (p_th3 * v23)
    v25 = (v22 + v24)
    v28 = (p_th4 * v27)
    v29 = (v25 + v28)
    v32 = (p_th5 * v31)
    v33 = (v29 + v32)
    v34 = (v19 + v33)
    v35 = (v15 + v34)
    v36 = (v35 / classes)
    v37 = (-v36)
    v58 = (v57 * v5)
    v62 = (v48 * v23)
    v63 = (v31 * v43)
    v64 = (literal(2.0) * v63)
    v65 = (v62 + v64)
    v67 = (v65 + v66)
    v68 = (-v67)
    v70 = (literal(2.0) * v69)
    v77 = (v39 * v23)
    v78 = (v76 + v77)
    v79 = (v70 + v78)
    v82 = (v79 + v81)
    v83 = (-v82)
    v85 = (v38 * v23)
    v86 = (v38 * v27)
    v87 = (v38 * v31)
    v88 = (v18 * v38)
    v89 = (v14 * v38)
    v59 = (v55 - v58)
    v60 = (v3 * v59)
    v61 = (v60 * v5)
    loss = torch.where(valid, v37, 0.0).expand(rows, 1)[:, 0]
    gradients = {}
    if 'z' in wrt:
        gradients['z'] = torch.where(valid, (v61 * scale), 0.0).expand(rows, C).contiguous()
    if 'th0' in wrt:
        gradients['th0'] = torch.where(valid, (v68 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th1' in wrt:
        gradients['th1'] = torch.where(valid, (v83 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th2' in wrt:
        gradients['th2'] = torch.where(valid, (v84 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th3' in wrt:
        gradients['th3'] = torch.where(valid, (v85 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th4' in wrt:
        gradients['th4'] = torch.where(valid, (v86 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th5' in wrt:
        gradients['th5'] = torch.where(valid, (v87 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th6' in wrt:
        gradients['th6'] = torch.where(valid, (v88 * scale), 0.0).expand(rows, 1)[:, 0]
    if 'th7' in wrt:
        gradients['th7'] = torch.where(valid, (v89 * scale), 0.0).expand(rows, 1)[:, 0]
    return loss, gradients
